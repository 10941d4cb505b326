"""State of a run between its rounds: where it starts, and what is kept for a resume."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wirelessfl.allocation.history import History
from wirelessfl.border import gate
from wirelessfl.config.input_files import Contents, check_same_files
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment, RunSettings
from wirelessfl.no_training import NoTraining
from wirelessfl.protocols import Algorithm, Trainer
from wirelessfl.records.checkpoint import BEST, BEST_CLIENTS, Checkpoint
from wirelessfl.records.record_lines import Checksum
from wirelessfl.records.run_store import Row, RunStore
from wirelessfl.records.stopping import evaluation_due
from wirelessfl.records.summary import SUMMARISED, RunTotals
from wirelessfl.rounds.one_round import RoundDone, first_history
from wirelessfl.values import (
    Backlog,
)


@dataclass(frozen=True, eq=False)
class Start:
    """Start of a run, new or resumed.

    Attributes:
        clock_s: Simulated time in s.
        state: State of the trainer.
        backlog: Open work of late updates; (K,).
        totals: Totals of the rounds so far.
        checksum: Checksum of the records so far.
        history: Course of the run so far; None where no round depends on those before.
    """

    clock_s: float
    state: Any
    backlog: Backlog
    totals: RunTotals
    checksum: Checksum
    history: History | None = None


def restored(
    experiment: Experiment,
    identity: str,
    inputs: Contents,
    trainer: Trainer | NoTraining,
    folder: RunStore,
    notify: Callable[[str], None],
) -> Start:
    """Find where a run starts: after its last good checkpoint, else at the beginning.

    Records after that checkpoint are removed.

    Args:
        experiment: Experiment of the run.
        identity: Name of the experiment in its checkpoints.
        inputs: Content of the files that the run reads, by name.
        trainer: Training of the experiment.
        folder: Run folder, or the memory of this process.
        notify: Receives messages for the user, one line each.

    Returns:
        The start.

    Raises:
        InputError: Checkpoints are of another experiment or other files, none of them fits, or the
            folder is damaged.
    """
    settings = experiment.run
    clients = experiment.scenario.clients
    first = first_history(experiment, trainer)
    recorded = folder.count()
    ahead: list[int] = []
    unfit: Exception | None = None
    for checkpoint in folder.checkpoints(notify):
        check_same_files(folder.label, checkpoint.inputs, inputs)
        folder.check_experiment(checkpoint, identity)
        if checkpoint.round > settings.rounds:
            raise InputError(
                f"run.rounds must be at least {checkpoint.round}, the rounds already done, "
                f"got {settings.rounds}"
            )
        if checkpoint.round > recorded:
            ahead.append(checkpoint.round)
            continue
        if ahead:
            notify(
                f"{folder.label} holds {recorded} rounds, fewer than its checkpoint of round "
                f"{ahead[0]}: that of round {checkpoint.round} is used"
            )
        written = checkpoint.checksum
        if written is not None and not written.fits(folder.checksum(checkpoint.round)):
            for _ in folder.each_record(("clock_s",)):  # names a line that is no record
                pass
            notify(
                f"{folder.label}: the first {checkpoint.round} records are not those that were "
                "written: an earlier state is used"
            )
            continue
        try:
            arrays = dict(checkpoint.arrays)
            backlog = Backlog.unpack(arrays, clients)
            history = None if first is None else first.resumed(arrays)
            state = trainer.unpack(arrays)
        except (MemoryError, OSError):
            raise
        except Exception as error:  # of any algorithm, for arrays that are not its own
            unfit = error
            notify(
                f"the checkpoint of round {checkpoint.round} does not fit its experiment: {error}"
            )
            continue
        due = evaluation_due(settings, checkpoint.round, checkpoint.clock_s)
        folder.keep_rounds(checkpoint.round, evaluated_last=due)
        # Without an evaluation due, that of the last record is dropped, and the totals change.
        totals = checkpoint.totals if due or not settings.train else None
        if totals is None:
            totals = RunTotals.of(folder.each_record(SUMMARISED))
        sums = folder.checksum(checkpoint.round)
        return Start(checkpoint.clock_s, state, backlog, totals, sums, history)
    if ahead:
        raise InputError(
            f"{folder.label} holds {recorded} rounds, its checkpoint {ahead[-1]}: the folder is "
            "damaged; remove its checkpoints to start over"
        )
    if unfit is not None:
        raise InputError(
            f"{folder.label} has no checkpoint that fits its experiment: {unfit}; its records are "
            "kept, remove its checkpoints to start over"
        )
    if folder.count() > settings.checkpoint_every and not folder.checkpoint_files():
        notify(f"{folder.label} has lost its checkpoints: the run starts over")
    for _ in folder.each_record(("clock_s",)):  # what is not a record is not dropped unseen
        pass
    folder.keep_rounds(0)
    with gate.inside("algorithm", experiment.algorithm):
        state = trainer.init(settings.seed)
    return Start(0.0, state, Backlog.none(clients), RunTotals(), Checksum(), first)


class Keeper:
    """Checkpoints of a run and its values outside the records, kept in its folder.

    Values are written together with the next checkpoint, from which a run is resumed.

    Args:
        folder: Run folder, or the memory of this process.
        settings: Run settings.
        checkpoint: Function of a round that gives the complete state after it.
    """

    def __init__(
        self,
        folder: RunStore,
        settings: RunSettings,
        checkpoint: Callable[[RoundDone], Checkpoint],
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._checkpoint = checkpoint
        self._best = -math.inf
        self._scores: list[Row] = []
        self._wall: list[Row] = []
        self._last_end = time.perf_counter()
        if settings.keep_best and (best := folder.best_checkpoint()) is not None:
            self._best = float(best.arrays[BEST])

    def keep(self, done: RoundDone, *, last: bool) -> None:
        """Keep what a round leaves besides its record.

        Args:
            done: The round.
            last: Whether the run ends with it.
        """
        record = done.record
        recording_s = done.began - self._last_end
        self._wall.append({"round": record.round, **done.wall_s, "recording_s": recording_s})
        self._last_end = time.perf_counter()
        if done.scores is not None:
            self._scores.append({"round": record.round, "accuracy": done.scores.tolist()})
        accuracy = record.accuracy
        if self._settings.keep_best and accuracy is not None and accuracy > self._best:
            self._best = accuracy
            checkpoint = self._checkpoint(done)
            arrays = {**checkpoint.arrays, BEST: np.asarray(accuracy)}
            if done.scores is not None:
                arrays[BEST_CLIENTS] = np.asarray(done.scores)
            self._folder.save_best(replace(checkpoint, arrays=arrays))
        if last or record.round % self._settings.checkpoint_every == 0:
            self._folder.append_rows("accuracy", self._scores)
            self._folder.append_rows("wall", self._wall)
            self._scores, self._wall = [], []
            self._folder.save_checkpoint(self._checkpoint(done))


def checkpoint_of(
    algorithm: Algorithm,
    trainer: Trainer | NoTraining,
    identity: str,
    inputs: Contents,
    done: RoundDone,
) -> Checkpoint:
    """Take the complete state after a round.

    Args:
        algorithm: The algorithm of the trainer.
        trainer: Training of the experiment.
        identity: Name of the experiment.
        inputs: Content of the files that the run reads, by name.
        done: The round, with totals and checksum.

    Returns:
        The checkpoint.
    """
    arrays = {**gate.packed(algorithm, trainer, done.state), **done.backlog.pack()}
    if done.history is not None:
        arrays |= done.history.pack()
    record = done.record
    return Checkpoint(
        record.round, record.clock_s, arrays, identity, inputs, done.totals, done.checksum
    )
