"""Round loop: one round after the other, recorded and resumed."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from wirelessfl.border.processes import processes
from wirelessfl.config.input_files import Contents
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment, RunSettings
from wirelessfl.no_training import NoTraining
from wirelessfl.protocols import Trainer
from wirelessfl.records.run_store import RunStore
from wirelessfl.records.stopping import RunProgress
from wirelessfl.rounds.one_round import (
    run_round,
)
from wirelessfl.rounds.run_state import Keeper, checkpoint_of, restored
from wirelessfl.values import (
    RoundRecord,
)


def run_rounds(
    experiment: Experiment,
    trainer: Trainer | NoTraining,
    folder: RunStore,
    *,
    identity: str = "",
    inputs: Contents | None = None,
    on_start: Callable[[], None] = lambda: None,
    on_round: Callable[[RoundRecord], None] = lambda record: None,
    stop: Callable[[RoundRecord], bool] = lambda record: False,
    notify: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Run or resume an experiment in its folder until `run.rounds` rounds are recorded.

    The run ends before that where `RunProgress.ended` says so. It is interrupted, with a checkpoint
    from which it can be resumed, after `run.max_wall_s` or by `stop`.

    Args:
        experiment: Experiment to run.
        trainer: Training of the experiment.
        folder: Run folder, empty or that of an interrupted run; or the memory of this process.
        identity: Name of the experiment in its checkpoints.
        inputs: Content of the files that the run reads, by name.
        on_start: Function that is called once the folder has been checked.
        on_round: Function that receives the record of every new round.
        stop: Function of the record of a new round; true interrupts the run after that round.
        notify: Function that receives messages for the user, one line each.

    Returns:
        The summary.

    Raises:
        InputError: The folder's checkpoints have another identity or other inputs, the folder is
            damaged, a client can never finish a round, or several processes have a limit of wall
            time, which each of them would measure.
    """
    settings = experiment.run
    if settings.max_wall_s is not None and processes() > 1:
        raise InputError(
            f"run.max_wall_s must not be set under torchrun, got {settings.max_wall_s}"
        )
    files = inputs or {}
    start = restored(experiment, identity, files, trainer, folder, notify)
    clock_s, state, backlog, totals = start.clock_s, start.state, start.backlog, start.totals
    checksum = start.checksum
    history = start.history
    on_start()
    folder.clear_summary()
    keeper = Keeper(
        folder, settings, partial(checkpoint_of, experiment.algorithm, trainer, identity, files)
    )
    progress = RunProgress(rounds=int(totals.rounds), clock_s=clock_s)
    if settings.ends_early:
        progress = RunProgress.of(folder.each_record(("accuracy", "clock_s")))
    ended = progress.ended(settings)
    interrupted: str | None = None
    began = time.perf_counter()
    while progress.rounds < settings.rounds and ended is None and interrupted is None:
        done = run_round(experiment, trainer, state, backlog, progress.rounds, clock_s, history)
        state, backlog, clock_s = done.state, done.backlog, done.record.clock_s
        history = done.history
        folder.append(done.record)
        totals = totals.after(done.record.as_dict())
        checksum = checksum.after(done.record.as_dict())
        done = replace(done, totals=totals, checksum=checksum)
        progress = progress.after(done.record.accuracy, clock_s)
        ended = progress.ended(settings)
        stopped = stop(done.record)
        if ended is None and progress.rounds < settings.rounds:
            interrupted = _interrupted(settings, time.perf_counter() - began, stopped)
        keeper.keep(done, last=progress.rounds == settings.rounds or bool(ended or interrupted))
        on_round(done.record)
    reasons = {"stopped": ended, "interrupted": interrupted}
    summary = totals.summary() | {name: why for name, why in reasons.items() if why}
    folder.write_summary(summary)
    return summary


def _interrupted(settings: RunSettings, wall_s: float, stopped: bool) -> str | None:
    """Reason for which the run is interrupted now; None while it goes on."""
    if stopped:
        return "stopped by the caller"
    if settings.max_wall_s is not None and wall_s >= settings.max_wall_s:
        return f"wall time {wall_s:.3g} s has reached run.max_wall_s = {settings.max_wall_s:g}"
    return None
