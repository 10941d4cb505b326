"""The cell as discrete events: every client downloads, computes, then uploads over its share of the band (SimPy).

The cell takes what was allocated and what the channel really was, and says what happened. Without losses or
contention it equals max_k T_k of eq. (16)-(18) of [WFL].
"""

from collections.abc import Generator

import numpy as np
import simpy

from wirelessfl.allocation import Allocation
from wirelessfl.formula import ON_TIME, Phases, compute_s, phases, transmit_power_w
from wirelessfl.rng import Streams
from wirelessfl.values import Backlog, ChannelState, Demand, RoundTiming, Scenario

SERVER = -1  # the client number of the server's own lines in a trace


def simulate(
    scenario: Scenario,
    channel: ChannelState,
    demand: Demand,
    allocation: Allocation,
    *,
    rng: Streams | None = None,
    backlog: Backlog | None = None,
) -> RoundTiming:
    """One round of the cell, from the start of the downlink at second 0 until the server goes on.

    Under the policy `wait` the server goes on when everybody has finished; under `drop` at the deadline at the
    latest. A late client's upload is followed to its end either way, so `finish_s` is always known.
    """
    spent = phases(scenario, channel, demand, allocation)
    env = simpy.Environment()
    trace: list[tuple[float, int, str]] = []
    clients = [env.process(_client(env, k, spent, trace)) for k in range(scenario.clients)]
    server = env.process(_server(env, clients, scenario, trace))
    env.run()
    finish_s = np.array([client.value for client in clients])
    cycles = compute_s(scenario, demand.fixed_updates + (1.0 - allocation.pruning_ratio) * demand.prunable_updates)
    cycles = cycles * scenario.per_client("cpu_hz")
    return RoundTiming(
        download_s=spent.download_s,
        compute_s=spent.fixed_s + spent.prunable_s,
        upload_s=spent.upload_s,
        finish_s=finish_s,
        delivered=finish_s <= scenario.deadline_s * ON_TIME,
        energy_j=scenario.effective_capacitance * cycles * scenario.per_client("cpu_hz") ** 2
        + transmit_power_w(scenario, channel) * spent.upload_s,
        round_s=float(np.float64(server.value)),
        trace=tuple(sorted(trace, key=lambda line: line[0])),  # who is on time by rounding stands after the deadline
        lost=np.zeros(scenario.clients, dtype=np.bool_),
        earlier=np.zeros(scenario.clients, dtype=np.bool_),
        retransmissions=np.zeros(scenario.clients, dtype=np.int64),
        band_utilisation=0.0,
        backlog=Backlog.none(scenario.clients),
    )


def _client(
    env: simpy.Environment, client: int, phases: Phases, trace: list[tuple[float, int, str]]
) -> Generator[simpy.Event, None, float]:
    downloads = [(phases.download_s[client], "downloaded")] if phases.download_s[client] > 0 else []
    for seconds, event in (
        *downloads,
        (phases.fixed_s[client], "fixed work done"),
        (phases.prunable_s[client], "prunable work done"),
        (phases.upload_s[client], "uploaded"),
    ):
        yield env.timeout(float(seconds))
        trace.append((env.now, client, event))
    return float(env.now)


def _server(
    env: simpy.Environment, clients: list[simpy.Process], scenario: Scenario, trace: list[tuple[float, int, str]]
) -> Generator[simpy.Event, None, float]:
    deadline = env.timeout(scenario.deadline_s * ON_TIME)
    yield env.all_of(clients) | deadline
    if any(client.is_alive for client in clients):
        trace.append((scenario.deadline_s, SERVER, "deadline"))
        if scenario.deadline_policy == "drop":
            return scenario.deadline_s
        yield env.all_of(clients)
    return float(env.now)
