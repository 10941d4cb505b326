"""Round loop: channel -> allocation -> cell -> training -> record, one direction, every round."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.history import History
from wirelessfl.batched_runs import TrainedRun
from wirelessfl.border import gate
from wirelessfl.border.processes import processes
from wirelessfl.cell import cell
from wirelessfl.config.input_files import Contents, check_same_files
from wirelessfl.errors import DivergenceError, InputError
from wirelessfl.experiment import Experiment, RunSettings
from wirelessfl.no_training import NoTraining
from wirelessfl.planning import PlannedRound, participants, plan
from wirelessfl.protocols import Algorithm, Trainer
from wirelessfl.records.checkpoint import BEST, BEST_CLIENTS, Checkpoint
from wirelessfl.records.record_lines import Checksum
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.records.run_store import Row, RunStore
from wirelessfl.records.stopping import RunProgress, evaluation_due
from wirelessfl.records.summary import SUMMARISED, RunTotals, summarise
from wirelessfl.rng import Streams
from wirelessfl.values import (
    Array,
    Backlog,
    Delivery,
    Demand,
    MeanScore,
    RoundRecord,
    RoundTiming,
    Scenario,
    StepMetrics,
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
    start = _restore(experiment, identity, files, trainer, folder, notify)
    clock_s, state, backlog, totals = start.clock_s, start.state, start.backlog, start.totals
    checksum = start.checksum
    history = start.history
    on_start()
    folder.clear_summary()
    keeper = _Keeper(
        folder, settings, partial(_checkpoint, experiment.algorithm, trainer, identity, files)
    )
    progress = RunProgress(rounds=int(totals.rounds), clock_s=clock_s)
    if settings.ends_early:
        progress = RunProgress.of(folder.each_record(("accuracy", "clock_s")))
    ended = progress.ended(settings)
    interrupted: str | None = None
    began = time.perf_counter()
    while progress.rounds < settings.rounds and ended is None and interrupted is None:
        done = _round(experiment, trainer, state, backlog, progress.rounds, clock_s, history)
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


def _checkpoint(
    algorithm: Algorithm,
    trainer: Trainer | NoTraining,
    identity: str,
    inputs: Contents,
    done: "_RoundDone",
) -> Checkpoint:
    """The complete state after a round."""
    arrays = {**gate.packed(algorithm, trainer, done.state), **done.backlog.pack()}
    if done.history is not None:
        arrays |= done.history.pack()
    record = done.record
    return Checkpoint(
        record.round, record.clock_s, arrays, identity, inputs, done.totals, done.checksum
    )


class _Keeper:
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
        checkpoint: Callable[["_RoundDone"], Checkpoint],
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

    def keep(self, done: "_RoundDone", *, last: bool) -> None:
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


def _interrupted(settings: RunSettings, wall_s: float, stopped: bool) -> str | None:
    """Reason for which the run is interrupted now; None while it goes on."""
    if stopped:
        return "stopped by the caller"
    if settings.max_wall_s is not None and wall_s >= settings.max_wall_s:
        return f"wall time {wall_s:.3g} s has reached run.max_wall_s = {settings.max_wall_s:g}"
    return None


@dataclass(frozen=True, eq=False)
class _RoundDone:
    """A round with its state and the values that are no part of its record.

    Attributes:
        state: State of the trainer after the round.
        backlog: Open work of late updates after it; (K,).
        record: Its record.
        scores: Accuracy of each client; (K,); None without an evaluation.
        began: Reading of the performance counter at its start in s.
        wall_s: Wall-clock seconds of its phases by name.
        totals: Totals of the run with it; None before they are known.
        checksum: Checksum of the records with it; None before it is known.
        history: Course of the run after it; None where no round depends on those before.
    """

    state: Any
    backlog: Backlog
    record: RoundRecord
    scores: Array | None
    began: float
    wall_s: Mapping[str, float]
    totals: RunTotals | None = None
    checksum: Checksum | None = None
    history: History | None = None


def run_round(
    experiment: Experiment,
    trainer: Trainer | NoTraining,
    state: Any,
    backlog: Backlog,
    round_index: int,
    clock_s: float,
    history: History | None = None,
) -> tuple[Any, Backlog, RoundRecord]:
    """Run one round.

    Args:
        experiment: Experiment to run.
        trainer: Training of the experiment.
        state: State of the trainer before the round.
        backlog: Open work of late updates; (K,).
        round_index: Index of the round, from 0.
        clock_s: Simulated time at the start of the round in s.
        history: Course of the run; None: no round yet, or none is asked for.

    Returns:
        State and backlog after the round, and its record.

    Raises:
        InputError: A client can never finish the round.
    """
    done = _round(experiment, trainer, state, backlog, round_index, clock_s, history)
    return done.state, done.backlog, done.record


def _round(
    experiment: Experiment,
    trainer: Trainer | NoTraining,
    state: Any,
    backlog: Backlog,
    round_index: int,
    clock_s: float,
    history: History | None,
) -> _RoundDone:
    """Run one round, see `run_round`."""
    scenario = experiment.scenario
    algorithm = experiment.algorithm
    began = time.perf_counter()
    participates, planned, timing = simulate_round(
        experiment,
        gate.demand(algorithm, trainer, state, scenario.clients),
        backlog,
        round_index,
        history,
    )
    _check_finishes(scenario, planned, timing, round_index)
    simulated = time.perf_counter()
    told = delivery(scenario, timing, participates)
    state, metrics = gate.step(algorithm, trainer, state, planned.allocation.pruning_ratio, told)
    trained = time.perf_counter()
    due = evaluation_due(experiment.run, round_index + 1, clock_s + timing.round_s)
    accuracy = gate.accuracy(algorithm, trainer, state) if due else None
    wall_s = {
        "network_s": simulated - began,
        "training_s": trained - simulated,
        "evaluation_s": time.perf_counter() - trained,
    }
    record = _record(round_index + 1, clock_s, participates, planned, timing, metrics, accuracy)
    return _RoundDone(
        state,
        timing.backlog.where(backlog, participates),
        record,
        accuracy.clients if isinstance(accuracy, MeanScore) else None,
        began,
        wall_s,
        history=None if history is None else after_record(history, scenario, record),
    )


def first_history(
    experiment: Experiment, trainer: Trainer | NoTraining | None = None
) -> History | None:
    """History before the first round, None where no allocation depends on the run.

    Args:
        experiment: Experiment with allocator and weights.
        trainer: Training, which tells the numbers of training samples where it knows them.

    Returns:
        The history.
    """
    if not experiment.has_memory:
        return None
    samples = getattr(trainer, "samples", None)
    return History.none(
        experiment.scenario.clients,
        None if samples is None else np.asarray(samples, dtype=np.float64),
    )


def after_record(history: History, scenario: Scenario, record: RoundRecord) -> History:
    """History after a recorded round.

    Args:
        history: Course of the run before the round.
        scenario: Cell and clients, with the policy on late updates.
        record: Record of the round.

    Returns:
        The history.
    """
    kept, energy_j = np.zeros((2, scenario.clients))
    arrived = ~np.array(record.lost, dtype=np.bool_)
    if scenario.deadline_policy != "wait":
        arrived &= np.array(record.delivered, dtype=np.bool_)
    kept[record.clients] = np.where(arrived, 1.0 - np.array(record.pruning_ratio), 0.0)
    energy_j[record.clients] = record.energy_j
    return history.after(kept, energy_j)


def record_trained(
    experiment: Experiment,
    trained: TrainedRun,
    folder: RunFolder,
    *,
    identity: str = "",
    inputs: Contents | None = None,
) -> bool:
    """Record a run that was trained in a batch, as `run_rounds` would have run it.

    There is one checkpoint, after the last round; of a diverged run it holds the last good state.

    Args:
        experiment: Experiment of the run.
        trained: Rounds and final state of its training.
        folder: Run folder without checkpoints.
        identity: Name of the experiment in its checkpoints.
        inputs: Content of the files that the run reads, by name.

    Returns:
        False, with nothing recorded, when an update is late or pruned by the allocation: the
        batch assumes that none is, so the run has to be trained on its own.

    Raises:
        DivergenceError: Training diverged; the rounds before that are recorded.
        InputError: A client can never finish a round.
    """
    folder.keep_rounds(0)
    folder.clear_summary()
    backlog = Backlog.none(experiment.scenario.clients)
    history = first_history(experiment)
    clock_s = 0.0
    totals, checksum = RunTotals(), Checksum()
    scores: list[Row] = []
    for round_index, done in enumerate(trained.rounds):
        participates, planned, timing = simulate_round(
            experiment, done.demand, backlog, round_index, history
        )
        _check_finishes(experiment.scenario, planned, timing, round_index)
        told = delivery(experiment.scenario, timing, participates)
        if not told.on_time.all() or planned.allocation.pruning_ratio.any():
            folder.keep_rounds(0)
            return False
        record = _record(
            round_index + 1, clock_s, participates, planned, timing, done.metrics, done.accuracy
        )
        clock_s = record.clock_s
        if history is not None:
            history = after_record(history, experiment.scenario, record)
        folder.append(record)
        totals = totals.after(record.as_dict())
        checksum = checksum.after(record.as_dict())
        if isinstance(done.accuracy, MeanScore):
            scores.append({"round": record.round, "accuracy": done.accuracy.clients.tolist()})
    rounds = len(trained.rounds)
    if rounds:
        arrays = {**trained.state, **backlog.pack()}
        if history is not None:
            arrays |= history.pack()
        folder.append_rows("accuracy", scores)
        folder.save_checkpoint(
            Checkpoint(rounds, clock_s, arrays, identity, inputs or {}, totals, checksum)
        )
    if rounds < experiment.run.rounds:
        raise DivergenceError(trained.diverged or f"training diverged in round {rounds + 1}")
    folder.write_summary(summarise(folder.each_record(SUMMARISED)))
    return True


def _check_finishes(
    scenario: Scenario, planned: PlannedRound, timing: RoundTiming, round_index: int
) -> None:
    """Raise `InputError` when a client can never finish the round."""
    # Open work of a pending update may continue in a later round.
    stuck = ~np.isfinite(timing.finish_s) & ~timing.lost & ~timing.backlog.pending
    # A fade or a missing link may keep a client from finishing, a plan may not.
    if scenario.deadline_policy != "wait":
        stuck &= ~np.isfinite(planned.allocation.latency_s) & (planned.channel.believed_gain > 0)
    if stuck.any():
        raise InputError(
            f"round {round_index + 1}: client {np.argmax(stuck)} never finishes, "
            "it has bits to upload and no band or rate"
        )


def simulate_round(
    experiment: Experiment,
    demand: Demand,
    backlog: Backlog,
    round_index: int,
    history: History | None = None,
) -> tuple[NDArray[np.bool_], PlannedRound, RoundTiming]:
    """Plan and simulate one round.

    Args:
        experiment: Experiment with channel model, allocator and cell.
        demand: Weight updates and bits of all clients; (K,).
        backlog: Open work of late updates; (K,).
        round_index: Index of the round, from 0.
        history: Course of the run; None: no round yet, or none is asked for.

    Returns:
        Mask of the participants (K,), the plan, and the timing of the round.
    """
    participates = participants(experiment, round_index)
    demand = demand.restricted_to(participates)
    owed = backlog.restricted_to(participates)
    planned = plan(experiment, owed.added_to(demand), round_index, participates, history)
    streams = Streams(experiment.run.seed, round_index)
    timing = cell.simulate(
        experiment.scenario,
        planned.channel,
        demand,
        planned.allocation,
        streams=streams,
        backlog=owed,
    )
    return participates, planned, timing


def delivery(scenario: Scenario, timing: RoundTiming, participates: NDArray[np.bool_]) -> Delivery:
    """Updates that the deadline policy passes to the aggregation of a round.

    Args:
        scenario: Cell and clients, with the policy.
        timing: Timing of the round; (K,).
        participates: Mask of the participants; (K,).

    Returns:
        The delivery; (K,).
    """
    none = np.zeros_like(participates)
    if scenario.deadline_policy == "wait":
        return Delivery(
            participates=participates,
            on_time=participates & ~timing.lost,
            late=none,
            arrived_late=none,
        )
    if scenario.deadline_policy == "drop":
        return Delivery(
            participates=participates,
            on_time=participates & timing.delivered,
            late=none,
            arrived_late=none,
        )
    # Of a client that uploads nothing in this round the pending update is an older one.
    pending = timing.backlog.pending
    return Delivery(
        participates=participates,
        on_time=participates & timing.delivered & ~pending,
        late=participates & pending,
        arrived_late=timing.earlier,
    )


def _record(
    number: int,
    clock_s: float,
    participates: NDArray[np.bool_],
    planned: PlannedRound,
    timing: RoundTiming,
    metrics: StepMetrics,
    accuracy: float | None,
) -> RoundRecord:
    allocation = planned.allocation
    channel = planned.channel
    return RoundRecord(
        round=number,
        clock_s=clock_s + timing.round_s,
        round_s=timing.round_s,
        loss=metrics.loss,
        accuracy=None if accuracy is None else float(accuracy),
        clients=np.flatnonzero(participates).tolist(),
        bandwidth_fraction=allocation.bandwidth_fraction[participates].tolist(),
        pruning_ratio=allocation.pruning_ratio[participates].tolist(),
        gain=channel.gain[participates].tolist(),
        believed_gain=channel.believed_gain[participates].tolist(),
        planned_s=[_finite(second) for second in allocation.latency_s[participates]],
        latency_s=[_finite(second) for second in timing.finish_s[participates]],
        delivered=timing.delivered[participates].tolist(),
        lost=timing.lost[participates].tolist(),
        earlier=timing.earlier[participates].tolist(),
        retransmissions=timing.retransmissions[participates].tolist(),
        band_utilisation=timing.band_utilisation,
        uplink_bits=metrics.uplink_bits[participates].tolist(),
        downlink_bits=metrics.downlink_bits[participates].tolist(),
        flops=metrics.flops[participates].tolist(),
        energy_j=timing.energy_j[participates].tolist(),
        extra=dict(metrics.extra),
    )


def _finite(second: float) -> float | None:
    return float(second) if np.isfinite(second) else None


@dataclass(frozen=True, eq=False)
class _Start:
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


def _restore(
    experiment: Experiment,
    identity: str,
    inputs: Contents,
    trainer: Trainer | NoTraining,
    folder: RunStore,
    notify: Callable[[str], None],
) -> "_Start":
    """Clock, state, backlog, totals and history: those of the last good checkpoint.

    Without a checkpoint they are those of the beginning.
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
        return _Start(checkpoint.clock_s, state, backlog, totals, sums, history)
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
    return _Start(0.0, state, Backlog.none(clients), RunTotals(), Checksum(), first)
