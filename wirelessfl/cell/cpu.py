"""The clients' CPUs within a round."""

from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from wirelessfl.cell.closed_form import Shares
from wirelessfl.scenario.processor import Array, Processor
from wirelessfl.scenario.scenario import Scenario
from wirelessfl.values import Demand


def cpu_hz(scenario: Scenario, demand: Demand, allocation: Shares, planned_s: Array) -> Array:
    """CPU frequency of each client in a round: that of the allocation, if it gives one.

    Otherwise it is under `dvfs` the lowest one in [min_cpu_hz, cpu_hz] with which the client
    finishes at the deadline as planned, f = C / (deadline - (T - C / cpu_hz)) with C cycles of
    work; the highest where even that is late. The energy kappa C f^2 falls with its square.

    Args:
        scenario: Cell and clients.
        demand: Demand that the server planned with; (K,).
        allocation: Kept fractions and CPU frequencies; (..., K).
        planned_s: Moment T at which the client would finish at `cpu_hz` (the allocation's
            `latency_s`), in s; (..., K).

    Returns:
        Frequency in Hz; (..., K).
    """
    if allocation.cpu_hz is not None:
        return allocation.cpu_hz
    highest_hz = scenario.per_client("cpu_hz")
    if scenario.processor.cpu != "dvfs":
        return highest_hz
    updates = demand.fixed_updates + allocation.kept_fraction * demand.prunable_updates
    work_s = scenario.per_client("cycles_per_weight") * updates / highest_hz
    room_s = scenario.deadline_s - (planned_s - work_s)
    slowdown = np.divide(work_s, room_s, out=np.ones_like(work_s), where=room_s > 0)
    return np.clip(slowdown * highest_hz, scenario.processor.min_cpu_hz, highest_hz)


def work(
    env: Any,
    seconds: float,
    processor: Processor,
    rng: np.random.Generator,
    note: Callable[[str], None] = lambda event: None,
) -> Generator[Any, Any, None]:
    """CPU time of a client, as a part of its SimPy process by `yield from`.

    When `loaded`, background jobs with Poisson arrivals occupy the CPU first, in the order of their
    arrival, and training gets the remaining time: it takes seconds / (1 - utilisation) on average.
    The plan does not include the load. The CPU is idle at the start and at the end: training ends
    only when no job is present, and Poisson arrivals have no memory, so that two pieces of work in
    sequence are equivalent to one. A busy period is one event, whatever the number of its jobs; gap
    and service of each job are drawn in turn.

    Args:
        env: SimPy environment of the round.
        seconds: CPU time in s.
        processor: Kind of processor and its background load.
        rng: Generator of the background jobs.
        note: Function that receives "interrupted" and "resumed".

    Yields:
        SimPy events.
    """
    if processor.cpu != "loaded" or processor.background_rate_hz == 0:
        yield env.timeout(seconds)
        return

    def gap_s() -> float:
        return float(rng.exponential(1.0 / processor.background_rate_hz))

    left_s = seconds
    arrival_s = env.now + gap_s()
    while env.now + left_s > arrival_s:
        started_s = env.now
        yield env.timeout(arrival_s - env.now)
        left_s = max(left_s - (env.now - started_s), 0.0)
        note("interrupted")
        # Jobs that arrive before the processor is free are served without a gap.
        free_s = arrival_s + float(processor.background_s(rng))
        arrival_s += gap_s()
        while arrival_s < free_s:
            free_s += float(processor.background_s(rng))
            arrival_s += gap_s()
        yield env.timeout(free_s - env.now)
        note("resumed")
    yield env.timeout(left_s)
