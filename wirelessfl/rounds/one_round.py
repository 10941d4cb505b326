"""One round: channel -> allocation -> cell -> training -> record."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.history import History
from wirelessfl.border import gate
from wirelessfl.cell import cell
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.no_training import NoTraining
from wirelessfl.planning import PlannedRound, participants, plan
from wirelessfl.protocols import Trainer
from wirelessfl.records.record_lines import Checksum
from wirelessfl.records.stopping import evaluation_due
from wirelessfl.records.summary import RunTotals
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


@dataclass(frozen=True, eq=False)
class RoundDone:
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
) -> RoundDone:
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
        The round with its record.

    Raises:
        InputError: A client can never finish the round.
    """
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
    check_finishes(scenario, planned, timing, round_index)
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
    record = record_of(round_index + 1, clock_s, participates, planned, timing, metrics, accuracy)
    return RoundDone(
        state,
        timing.backlog.where(backlog, participates),
        record,
        accuracy.clients if isinstance(accuracy, MeanScore) else None,
        began,
        wall_s,
        history=None if history is None else after_record(history, scenario, record),
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


def record_of(
    number: int,
    clock_s: float,
    participates: NDArray[np.bool_],
    planned: PlannedRound,
    timing: RoundTiming,
    metrics: StepMetrics,
    accuracy: float | None,
) -> RoundRecord:
    """Record of a round.

    Args:
        number: Number of the round, from 1.
        clock_s: Simulated time at its start in s.
        participates: Mask of the participants; (K,).
        planned: Plan of the round.
        timing: Outcome of the cell.
        metrics: Metrics of the training.
        accuracy: Accuracy; None without an evaluation.

    Returns:
        The record, per-client values of the participants alone.
    """
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


def check_finishes(
    scenario: Scenario, planned: PlannedRound, timing: RoundTiming, round_index: int
) -> None:
    """Refuse a round that a client can never finish.

    Args:
        scenario: Cell and clients, with the policy on late updates.
        planned: Plan of the round.
        timing: Outcome of the cell.
        round_index: Index of the round, from 0.

    Raises:
        InputError: A client has bits to upload and no band or rate.
    """
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
