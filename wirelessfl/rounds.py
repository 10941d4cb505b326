"""Round loop: channel -> allocation -> cell -> training -> record, one direction, every round."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.batched_runs import TrainedRun
from wirelessfl.border import gate
from wirelessfl.cell import cell
from wirelessfl.config.input_files import Contents, check_same_files
from wirelessfl.errors import DivergenceError, InputError
from wirelessfl.experiment import Experiment
from wirelessfl.no_training import NoTraining
from wirelessfl.planning import PlannedRound, participants, plan
from wirelessfl.protocols import Trainer
from wirelessfl.records.run_folder import Checkpoint, RunFolder
from wirelessfl.records.summary import summarise
from wirelessfl.rng import Streams
from wirelessfl.values import (
    Backlog,
    Delivery,
    Demand,
    RoundRecord,
    RoundTiming,
    Scenario,
    StepMetrics,
)


def run_rounds(
    experiment: Experiment,
    trainer: Trainer | NoTraining,
    folder: RunFolder,
    *,
    identity: str = "",
    inputs: Contents | None = None,
    on_start: Callable[[], None] = lambda: None,
    on_round: Callable[[RoundRecord], None] = lambda record: None,
    notify: Callable[[str], None] = lambda line: None,
) -> None:
    """Run or resume an experiment in its folder until `run.rounds` rounds are recorded.

    Args:
        experiment: Experiment to run.
        trainer: Training of the experiment.
        folder: Run folder, empty or that of an interrupted run.
        identity: Name of the experiment in its checkpoints.
        inputs: Content of the files that the run reads, by name.
        on_start: Function that is called once the folder has been checked.
        on_round: Function that receives the record of every new round.
        notify: Function that receives messages for the user, one line each.

    Raises:
        InputError: The folder's checkpoints have another identity or other inputs, the folder is
            damaged, or a client can never finish a round.
    """
    settings = experiment.run
    files = inputs or {}
    start, clock_s, state, backlog = _restore(experiment, identity, files, trainer, folder, notify)
    on_start()
    folder.summary_file.unlink(missing_ok=True)
    for round_index in range(start, settings.rounds):
        state, backlog, record = run_round(
            experiment, trainer, state, backlog, round_index, clock_s
        )
        clock_s = record.clock_s
        folder.append(record)
        done = round_index + 1
        if done % settings.checkpoint_every == 0 or done == settings.rounds:
            folder.save_checkpoint(
                Checkpoint(
                    done,
                    clock_s,
                    {**gate.packed(experiment.algorithm, trainer, state), **backlog.pack()},
                    identity,
                    files,
                )
            )
        on_round(record)
    folder.write_summary(summarise(folder.records()))


def run_round(
    experiment: Experiment,
    trainer: Trainer | NoTraining,
    state: Any,
    backlog: Backlog,
    round_index: int,
    clock_s: float,
) -> tuple[Any, Backlog, RoundRecord]:
    """Run one round.

    Args:
        experiment: Experiment to run.
        trainer: Training of the experiment.
        state: State of the trainer before the round.
        backlog: Open work of late updates; (K,).
        round_index: Index of the round, from 0.
        clock_s: Simulated time at the start of the round in s.

    Returns:
        State and backlog after the round, and its record.

    Raises:
        InputError: A client can never finish the round.
    """
    settings = experiment.run
    scenario = experiment.scenario
    algorithm = experiment.algorithm
    participates, planned, timing = simulate_round(
        experiment,
        gate.demand(algorithm, trainer, state, scenario.clients),
        backlog,
        round_index,
    )
    _check_finishes(scenario, planned, timing, round_index)
    state, metrics = gate.step(
        algorithm,
        trainer,
        state,
        planned.allocation.pruning_ratio,
        delivery(scenario, timing, participates),
    )
    due = (round_index + 1) % settings.eval_every == 0 or round_index + 1 == settings.rounds
    accuracy = gate.accuracy(algorithm, trainer, state) if due else None
    record = _record(round_index + 1, clock_s, participates, planned, timing, metrics, accuracy)
    return state, timing.backlog.where(backlog, participates), record


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
    folder.summary_file.unlink(missing_ok=True)
    backlog = Backlog.none(experiment.scenario.clients)
    clock_s = 0.0
    for round_index, done in enumerate(trained.rounds):
        participates, planned, timing = simulate_round(
            experiment, done.demand, backlog, round_index
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
        folder.append(record)
    rounds = len(trained.rounds)
    if rounds:
        arrays = {**trained.state, **backlog.pack()}
        folder.save_checkpoint(Checkpoint(rounds, clock_s, arrays, identity, inputs or {}))
    if rounds < experiment.run.rounds:
        raise DivergenceError(trained.diverged or f"training diverged in round {rounds + 1}")
    folder.write_summary(summarise(folder.records()))
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
    experiment: Experiment, demand: Demand, backlog: Backlog, round_index: int
) -> tuple[NDArray[np.bool_], PlannedRound, RoundTiming]:
    """Plan and simulate one round.

    Args:
        experiment: Experiment with channel model, allocator and cell.
        demand: Weight updates and bits of all clients; (K,).
        backlog: Open work of late updates; (K,).
        round_index: Index of the round, from 0.

    Returns:
        Mask of the participants (K,), the plan, and the timing of the round.
    """
    participates = participants(experiment, round_index)
    demand = demand.restricted_to(participates)
    owed = backlog.restricted_to(participates)
    planned = plan(experiment, owed.added_to(demand), round_index, participates)
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
        accuracy=accuracy,
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


def _restore(
    experiment: Experiment,
    identity: str,
    inputs: Contents,
    trainer: Trainer | NoTraining,
    folder: RunFolder,
    notify: Callable[[str], None],
) -> tuple[int, float, Any, Backlog]:
    """Index of the first round, clock, state and backlog: those of the last good checkpoint.

    Without a checkpoint they are those of the beginning.
    """
    settings = experiment.run
    checkpoint = folder.last_checkpoint(notify)
    if checkpoint is None:
        if len(folder.records()) > settings.checkpoint_every and not folder.checkpoint_files():
            notify(f"{folder.path} has lost its checkpoints: the run starts over")
        folder.keep_rounds(0)
        return 0, 0.0, trainer.init(settings.seed), Backlog.none(experiment.scenario.clients)
    check_same_files(folder.path, checkpoint.inputs, inputs)
    folder.check_experiment(checkpoint, identity)
    if checkpoint.round > settings.rounds:
        raise InputError(
            f"run.rounds must be at least {checkpoint.round}, the rounds already done, "
            f"got {settings.rounds}"
        )
    due = checkpoint.round % settings.eval_every == 0 or checkpoint.round == settings.rounds
    folder.keep_rounds(checkpoint.round, evaluated_last=due)
    arrays = dict(checkpoint.arrays)
    backlog = Backlog.unpack(arrays, experiment.scenario.clients)
    return checkpoint.round, checkpoint.clock_s, trainer.unpack(arrays), backlog
