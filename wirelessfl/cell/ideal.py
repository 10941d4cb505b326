"""Rounds without losses and waiting: one chain of timeouts per client (SimPy)."""

from typing import Any

import numpy as np
import simpy

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.cell.client import SERVER, Line
from wirelessfl.cell.closed_form import busy_s, energy_j, phases
from wirelessfl.cell.cpu import cpu_hz
from wirelessfl.values import ON_TIME, Array, Backlog, ChannelState, Demand, RoundTiming, Scenario

EVENTS = ("downloaded", "fixed work done", "prunable work done", "uploaded")


def undisturbed(
    scenario: Scenario, channel: ChannelState, demand: Demand, allocation: Allocation
) -> RoundTiming:
    """Simulate a round by timeouts alone, for cells in which every impairment is off.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round; gains (K,).
        demand: Weight updates and bits; (K,).
        allocation: Bandwidth fractions and pruning ratios; (K,).

    Returns:
        Time and energy of each client; (K,).
    """
    planned = phases(scenario, channel, demand, allocation)
    highest_hz = hz = scenario.per_client("cpu_hz")
    fixed_s = planned.fixed_s
    prunable_s = planned.prunable_s
    if scenario.processor.cpu == "dvfs" or allocation.cpu_hz is not None:
        hz = cpu_hz(scenario, demand, allocation, allocation.latency_s)
        fixed_s = fixed_s * (highest_hz / hz)
        prunable_s = prunable_s * (highest_hz / hz)
    trace, finish_s = _run(np.array([planned.download_s, fixed_s, prunable_s, planned.upload_s]))
    delivered = finish_s <= scenario.deadline_s * ON_TIME
    round_s = float(finish_s.max())
    if not delivered.all():
        round_s = scenario.deadline_s if scenario.deadline_policy == "drop" else round_s
        trace.append((scenario.deadline_s, SERVER, "deadline"))
        # Clients that are on time by rounding follow the deadline in the trace.
        trace.sort(key=lambda line: line[0])
    compute_s = fixed_s + prunable_s
    cpu_s, transmit_s = busy_s(planned.download_s, compute_s, planned.upload_s, finish_s, round_s)
    none = np.zeros(scenario.clients, dtype=np.bool_)
    return RoundTiming(
        download_s=planned.download_s,
        compute_s=compute_s,
        upload_s=planned.upload_s,
        finish_s=finish_s,
        delivered=delivered,
        energy_j=energy_j(scenario, channel, hz, cpu_s, transmit_s),
        round_s=round_s,
        trace=tuple(trace),
        lost=none,
        earlier=none,
        retransmissions=np.zeros(scenario.clients, dtype=np.int64),
        band_utilisation=_utilisation(allocation.bandwidth_fraction, transmit_s, round_s),
        backlog=Backlog.none(scenario.clients),
    )


def _utilisation(bandwidth_fraction: Array, transmit_s: Array, round_s: float) -> float:
    """Fraction of band x time with transmissions until the round's end; 0 without an end."""
    if not 0.0 < round_s < np.inf:
        return 0.0
    return min(float(bandwidth_fraction @ transmit_s) / round_s, 1.0)


def _run(seconds: Array) -> tuple[list[Line], Array]:
    """Trace and moments of finishing, from the seconds of the clients' phases (4, K)."""
    env = simpy.Environment()
    trace: list[Line] = []
    rows = seconds.T.tolist()
    finish_s = [0.0] * len(rows)

    def phase_ends(timeout: Any) -> None:
        client, phase = timeout.value
        now_s = env.now
        trace.append((now_s, client, EVENTS[phase]))
        if phase < 3:
            simpy.Timeout(env, rows[client][phase + 1], (client, phase + 1)).callbacks.append(
                phase_ends
            )
        else:
            finish_s[client] = now_s

    for client, row in enumerate(rows):
        first = 0 if row[0] > 0 else 1
        simpy.Timeout(env, row[first], (client, first)).callbacks.append(phase_ends)
    env.run()
    return trace, np.array(finish_s)
