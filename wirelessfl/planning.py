"""Decisions of the server before a round: participants, allocation problem and allocation."""

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.interface import client_fields
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import AllocationProblem, Problem
from wirelessfl.border import gate
from wirelessfl.border.budget import check_budget
from wirelessfl.cell import closed_form as formula
from wirelessfl.cell.work import check_work
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.protocols import Allocator
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
    scenario: Scenario, channel: ChannelState, demand: Demand, max_pruning_ratio: float = 1.0
) -> Problem:
    """Allocation problem of one round, in seconds and bits per client.

    Noise of a given density makes a `NoisePsdProblem` of the scenario's link, in which a fraction b
    of the band sees SNR / b; the gap of Shannon's rate divides its SNR.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round, of which the believed gain counts; (..., K).
        demand: Weight updates and bits; (K,).
        max_pruning_ratio: Largest pruning ratio, from 0 to 1.

    Returns:
        The problem; (..., K).
    """
    common: dict[str, Any] = {
        "deadline_s": scenario.deadline_s,
        "fixed_s": formula.fixed_s(scenario, demand),
        "prunable_s": formula.prunable_s(scenario, demand),
        "upload_bits": demand.prunable_upload_bits,
        "fixed_upload_bits": demand.fixed_upload_bits,
        "max_pruning_ratio": max_pruning_ratio,
        "bandwidth_hz": scenario.bandwidth_hz,
    }
    link = scenario.link
    if scenario.noise_density_w_per_hz is None:
        return AllocationProblem(rate_bps=formula.planned_rate_bps(scenario, channel), **common)
    snr = formula.full_band_snr(scenario, channel, channel.believed_gain)
    if link.plans_shannon:
        return NoisePsdProblem(snr=snr / link.snr_gap, **common)
    return NoisePsdProblem(snr=snr, link=link, **common)


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
) -> PlannedRound:
    """Sample the channel of a round and solve its allocation for the participants.

    Args:
        experiment: Experiment with channel model and allocator.
        demand: Weight updates and bits, 0 for clients that do not participate; (K,).
        round_index: Index of the round, from 0.
        participates: Mask of the participants; (K,); None: all clients.

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
    problem = allocation_problem(experiment.scenario, channel, demand, experiment.max_pruning_ratio)
    return PlannedRound(channel, problem, _solve(experiment.allocator, problem, participates))


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

    values: Any = {name: restricted(getattr(problem, name)) for name in client_fields(problem)}
    return cast(Problem, replace(cast(Any, problem), **values))


def _solve(
    allocator: Allocator, problem: Problem, participates: NDArray[np.bool_] | None
) -> Allocation:
    """Solve the problem of the participants alone, and expand the allocation to all clients."""
    if participates is None or participates.all():
        return gate.solve(allocator, problem)
    solved = gate.solve(allocator, problem_of(problem, participates))
    defaults = {
        "bandwidth_fraction": 0.0,
        "pruning_ratio": 0.0,
        "exact_kept": 1.0,
        "left_out": False,
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
    first = plan(experiment, asked, participates=participates)
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
