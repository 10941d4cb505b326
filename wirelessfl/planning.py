"""Decisions of the server before a round: participants, allocation problem and allocation."""

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.costs import Costs
from wirelessfl.allocation.history import History
from wirelessfl.allocation.interface import merged
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import AllocationProblem, Problem
from wirelessfl.border import gate
from wirelessfl.border.budget import check_budget
from wirelessfl.cell import closed_form as formula
from wirelessfl.cell.work import check_work
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.protocols import Allocator, has_memory
from wirelessfl.rng import Streams
from wirelessfl.text import in_full
from wirelessfl.values import Array, ChannelState, Demand, Scenario

# Bytes of a record in `rounds.jsonl`, and of each client in it.
_RECORD_BYTES = 500
_CLIENT_BYTES = 200


@dataclass(frozen=True, eq=False)
class PlannedRound:
    """Decision of the server in one round, and its input.

    Attributes:
        channel: Channel of the round.
        problem: Allocation problem that the server solved.
        allocation: Bandwidth fractions and pruning ratios; (K,).
    """

    channel: ChannelState
    problem: Problem
    allocation: Allocation


def allocation_problem(
    scenario: Scenario,
    channel: ChannelState,
    demand: Demand,
    max_pruning_ratio: float = 1.0,
    weight: Array | None = None,
) -> Problem:
    """Allocation problem of one round, in seconds and bits per client.

    Noise of a given density makes a `NoisePsdProblem` of the scenario's link, in which a fraction b
    of the band sees SNR / b; the gap of Shannon's rate divides its SNR.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round, of which the believed gain counts; (..., K).
        demand: Weight updates and bits; (K,).
        max_pruning_ratio: Largest pruning ratio, from 0 to 1.
        weight: Weights of the kept fractions; (K,); None: those of the scenario.

    Returns:
        The problem; (..., K).
    """
    common: dict[str, Any] = {
        "deadline_s": scenario.deadline_s,
        "fixed_s": formula.fixed_s(scenario, demand),
        "prunable_s": formula.prunable_s(scenario, demand),
        "upload_bits": demand.prunable_upload_bits,
        "fixed_upload_bits": demand.fixed_upload_bits,
        "weight": scenario.per_client("weight") if weight is None else weight,
        "max_pruning_ratio": max_pruning_ratio,
        "bandwidth_hz": scenario.bandwidth_hz,
        "costs": costs(scenario, channel, demand),
    }
    link = scenario.link
    if scenario.noise_density_w_per_hz is None:
        return AllocationProblem(rate_bps=formula.planned_rate_bps(scenario, channel), **common)
    snr = formula.full_band_snr(scenario, channel, channel.believed_gain)
    if link.plans_shannon:
        return NoisePsdProblem(snr=snr / link.snr_gap, **common)
    return NoisePsdProblem(snr=snr, link=link, **common)


def costs(scenario: Scenario, channel: ChannelState, demand: Demand) -> Costs:
    """Cycles, CPU frequencies, transmit powers and packet losses of one round.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round, which open-loop power control follows; (..., K).
        demand: Weight updates; (K,).

    Returns:
        The costs; (..., K).
    """
    cycles = scenario.per_client("cycles_per_weight")
    highest_hz = scenario.per_client("cpu_hz")
    return Costs(
        fixed_cycles=cycles * demand.fixed_updates,
        prunable_cycles=cycles * demand.prunable_updates,
        cpu_min_hz=np.minimum(scenario.processor.min_cpu_hz, highest_hz),
        cpu_max_hz=highest_hz,
        power_w=formula.transmit_power_w(scenario, channel),
        capacitance=np.asarray(scenario.effective_capacitance),
        packet_loss=formula.packet_loss(scenario, channel, channel.believed_gain, np.ones(()))
        if scenario.link.packet_error == "waterfall"
        else np.zeros(()),
    )


def weights(experiment: Experiment, history: History | None = None) -> Array:
    """Weights of the kept fractions in a round: those of the scenario times `experiment.weights`.

    Args:
        experiment: Experiment with the weights.
        history: Course of the run, with ages and training samples; None: no round yet.

    Returns:
        Weights; (K,).

    Raises:
        InputError: The weights are those of the samples, and no data are read.
    """
    weight = experiment.scenario.per_client("weight")
    if experiment.weights == "age" and history is not None:
        return weight * (1.0 + history.age)
    if experiment.weights == "samples":
        if history is None or history.samples is None:
            raise InputError(
                "allocation.weights must be equal or age where the numbers of training samples "
                "are not known, got 'samples'"
            )
        return np.asarray(weight * history.samples / history.samples.mean())
    return weight


def _with_costs(history: History, of_round: Costs) -> History:
    """The history with the energy of the coming round at the highest CPU frequency."""
    joules = of_round.capacitance * of_round.cpu_max_hz**2
    return replace(
        history,
        power_w=of_round.power_w,
        fixed_j=joules * of_round.fixed_cycles,
        prunable_j=joules * of_round.prunable_cycles,
    )


def participants(experiment: Experiment, round_index: int) -> NDArray[np.bool_]:
    """Participants of a round: `run.participants` clients drawn without replacement.

    Args:
        experiment: Experiment with the number of participants and the seed.
        round_index: Index of the round, from 0.

    Returns:
        Mask of the participants; (K,).
    """
    clients = experiment.scenario.clients
    count = experiment.run.participants
    if count is None:
        return np.ones(clients, dtype=np.bool_)
    participates = np.zeros(clients, dtype=np.bool_)
    participates[
        Streams(experiment.run.seed, round_index)
        .generator("participants")
        .choice(clients, count, replace=False)
    ] = True
    return participates


def plan(
    experiment: Experiment,
    demand: Demand,
    round_index: int = 0,
    participates: NDArray[np.bool_] | None = None,
    history: History | None = None,
) -> PlannedRound:
    """Sample the channel of a round and solve its allocation for the participants.

    Args:
        experiment: Experiment with channel model and allocator.
        demand: Weight updates and bits, 0 for clients that do not participate; (K,).
        round_index: Index of the round, from 0.
        participates: Mask of the participants; (K,); None: all clients.
        history: Course of the run; None: no round yet.

    Returns:
        The plan; clients that do not participate get no band and ratio 0.

    Raises:
        InputError: Channel model or allocator fail, or return invalid values.
    """
    channel = gate.sample(
        experiment.channel, experiment.scenario, Streams(experiment.run.seed, round_index)
    )
    if participates is not None:
        channel = replace(channel, participants=int(participates.sum()))
    scenario = experiment.scenario
    problem = allocation_problem(
        scenario,
        channel,
        demand,
        experiment.max_pruning_ratio,
        weights(experiment, history),
    )
    if has_memory(experiment.allocator):
        past = History.none(scenario.clients) if history is None else history
        history = _with_costs(past, cast(Costs, problem.costs))
    allocation = _solve(experiment.allocator, problem, participates, history)
    return PlannedRound(channel, problem, allocation)


def problem_of(problem: Problem, participates: NDArray[np.bool_]) -> Problem:
    """Restrict a problem to its participants.

    Args:
        problem: Problem of all clients; (..., K).
        participates: Mask of the participants, equally many n in each draw; (..., K).

    Returns:
        The problem of the participants alone; (..., n).
    """
    if participates.all():
        return problem

    def restricted(value: Array) -> Array:
        shape = np.broadcast_shapes(np.shape(value), participates.shape)
        mask = np.broadcast_to(participates, shape)
        return np.broadcast_to(value, shape)[mask].reshape(*shape[:-1], -1)

    return merged([problem], lambda values: restricted(values[0]))


def _solve(
    allocator: Allocator,
    problem: Problem,
    participates: NDArray[np.bool_] | None,
    history: History | None,
) -> Allocation:
    """Solve the problem of the participants alone, and expand the allocation to all clients."""
    if participates is None or participates.all():
        return gate.solve(allocator, problem, history)
    of_them = None if history is None else history.of(participates)
    solved = gate.solve(allocator, problem_of(problem, participates), of_them)
    defaults = {
        "bandwidth_fraction": 0.0,
        "pruning_ratio": 0.0,
        "exact_kept": 1.0,
        "left_out": False,
        "cpu_hz": np.inf if problem.costs is None else problem.costs.cpu_max_hz,
    }
    expanded: dict[str, Any] = {}
    for name, value in defaults.items():
        if getattr(solved, name) is not None:
            expanded[name] = np.full(participates.shape, value)
            expanded[name][participates] = getattr(solved, name)
    return replace(solved, problem=problem, **expanded)


def check_before_start(experiment: Experiment, demand: Demand) -> PlannedRound:
    """Plan the first round and refuse an experiment that could not run to its end.

    Four causes are known before the start: no client can meet the deadline, the allocator refuses
    the problem, the channel does not reach the last round, or a round or the records exceed the
    budget of `wirelessfl.border.budget`.

    Args:
        experiment: Experiment to check.
        demand: Weight updates and bits of the first round; (K,).

    Returns:
        The plan of the first round.

    Raises:
        InputError: One of these causes is present.
    """
    check_feasible(experiment, demand)
    _check_records(experiment)
    participates = participants(experiment, 0)
    asked = demand.restricted_to(participates)
    # The data are read later: equal numbers stand for those of the training samples.
    clients = experiment.scenario.clients
    before = History.none(clients, np.ones(clients) if experiment.run.train else None)
    first = plan(experiment, asked, participates=participates, history=before)
    check_work(
        experiment.scenario, first.channel, asked, first.allocation, first.allocation.latency_s
    )
    gate.sample(
        experiment.channel,
        experiment.scenario,
        Streams(experiment.run.seed, experiment.run.rounds - 1),
    )
    return first


def _check_records(experiment: Experiment) -> None:
    clients = experiment.run.participants or experiment.scenario.clients
    check_budget(
        f"run.rounds = {experiment.run.rounds} with records of {clients} clients each",
        "bytes",
        experiment.run.rounds * (_RECORD_BYTES + clients * _CLIENT_BYTES),
    )


def check_feasible(experiment: Experiment, demand: Demand) -> None:
    """Refuse a scenario in which no client can meet the deadline at any pruning ratio.

    Args:
        experiment: Experiment to check.
        demand: Weight updates and bits of the first round; (K,).

    Raises:
        InputError: The fixed work of every client takes longer than the deadline.
    """
    fixed_s = formula.fixed_s(experiment.scenario, demand)
    if np.all(fixed_s > experiment.scenario.deadline_s):
        raise InputError(
            f"scenario.deadline_s must be above {in_full(fixed_s.min())}, "
            "the fixed work of the fastest client, "
            f"got {in_full(experiment.scenario.deadline_s)}: no client can meet it"
        )
