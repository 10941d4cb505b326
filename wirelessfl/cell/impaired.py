"""Rounds with impairments: every client a SimPy process, over one common band.

Clients share the band, lose packets, drop out or come late.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.cell.band import Band
from wirelessfl.cell.client import PHASES, SERVER, Client, Line, Update, Work
from wirelessfl.cell.closed_form import compute_s, energy_j, phases, upload_bits
from wirelessfl.cell.cpu import cpu_hz, work
from wirelessfl.cell.packets import Packets
from wirelessfl.cell.work import run_to_end
from wirelessfl.rng import Streams
from wirelessfl.values import ON_TIME, Array, Backlog, ChannelState, Demand, RoundTiming, Scenario

_NO_DRAWS = np.random.default_rng(0)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Figures:
    """State of all clients at some moment of the round.

    Attributes:
        spent_s: Seconds in each phase; (K,).
        cpu_s: CPU seconds done; (K,).
        air_s: Seconds of transmission; (K,).
        lost: True for lost clients; (K,).
        retransmissions: Packets sent again; (K,).
        keeps: True where the update of this round uploads anything; (K,).
        pending: True where an update has not arrived; (K,).
        open_s: CPU seconds of it still to do; (K,).
        open_bits: Bits of it still to send; (K,).
        band_s: Seconds of transmission times the fraction of the band, over all clients.
    """

    spent_s: dict[str, Array]
    cpu_s: Array
    air_s: Array
    lost: NDArray[np.bool_]
    retransmissions: NDArray[np.int64]
    keeps: NDArray[np.bool_]
    pending: NDArray[np.bool_]
    open_s: Array
    open_bits: Array
    band_s: float


def disturbed(
    scenario: Scenario,
    channel: ChannelState,
    demand: Demand,
    allocation: Allocation,
    streams: Streams,
    backlog: Backlog,
) -> RoundTiming:
    """Simulate a round by events, for cells in which an impairment is on.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round; gains (K,).
        demand: Weight updates and bits; (K,).
        allocation: Bandwidth fractions and pruning ratios; (K,).
        streams: Random streams of the round.
        backlog: Open work of late updates; (K,).

    Returns:
        Time, energy and losses of each client; (K,).
    """
    env = simpy.Environment()
    trace: list[Line] = []
    packets = None
    if scenario.link.packet_error != "none":
        packets = [
            Packets(scenario.link, streams.generator("packets", k)) for k in range(scenario.clients)
        ]

    def note(client: int, event: str) -> None:
        trace.append((env.now, client, event))

    band = Band(env, scenario, channel, allocation.bandwidth_fraction, packets, note)
    hz = cpu_hz(scenario, backlog.added_to(demand), allocation, allocation.latency_s)
    download_s, updates = _to_do(scenario, channel, demand, allocation, backlog, hz)
    clients = [
        Client(env, k, download_s[k], updates[k], band, _on_cpu(env, scenario, streams, k), note)
        for k in range(scenario.clients)
    ]
    processes = [env.process(client.live()) for client in clients]
    _drop_out(env, scenario, streams, processes)
    look = partial(_look, clients, band, packets, allocation.kept_fraction > 0.0)
    server = env.process(_server(env, processes, scenario, trace, look))
    run_to_end(env)
    # A server that is still waiting when no event is left has an upload that never ends.
    ended: Any = (np.inf, look()) if server.is_alive else server.value
    round_s, at_end = ended
    return _timing(scenario, channel, hz, trace, clients, round_s, at_end, look())


def _timing(
    scenario: Scenario,
    channel: ChannelState,
    hz: Array,
    trace: list[Line],
    clients: list[Client],
    round_s: float,
    at_end: _Figures,
    afterwards: _Figures,
) -> RoundTiming:
    """Result of the round, from its state at its end and after the last client was followed up.

    Energy, retransmissions and band utilisation end with the round under every policy.
    """
    cut = scenario.deadline_policy == "late-next-round"  # open work is done in the next round
    figures = at_end if cut else afterwards
    finish_s = np.where(figures.lost, np.inf, [client.finish_s for client in clients])
    delivered = finish_s <= scenario.deadline_s * ON_TIME
    older_s = np.array(
        [min((u.arrived_s for u in client.updates[:-1]), default=np.inf) for client in clients]
    )
    earlier = older_s <= round_s * ON_TIME if round_s < np.inf else older_s < np.inf
    owes = figures.pending & ~np.where(figures.keeps, delivered, earlier) & cut
    reported = [line for line in trace if line[0] <= round_s * ON_TIME] if cut else trace
    return RoundTiming(
        download_s=figures.spent_s["download"],
        compute_s=figures.spent_s["compute"],
        upload_s=figures.spent_s["upload"],
        finish_s=finish_s,
        delivered=delivered,
        energy_j=energy_j(scenario, channel, hz, at_end.cpu_s, at_end.air_s),
        round_s=round_s,
        # Clients that are on time by rounding follow the deadline in the trace.
        trace=tuple(sorted(reported, key=lambda line: line[0])),
        lost=figures.lost,
        earlier=earlier,
        retransmissions=at_end.retransmissions,
        band_utilisation=min(at_end.band_s / round_s, 1.0) if 0.0 < round_s < np.inf else 0.0,
        backlog=Backlog(
            pending=owes,
            updates=np.where(
                owes, figures.open_s * hz / scenario.per_client("cycles_per_weight"), 0.0
            ),
            upload_bits=np.where(owes, figures.open_bits, 0.0),
        ),
    )


def _on_cpu(env: simpy.Environment, scenario: Scenario, streams: Streams, client: int) -> Work:
    """Process that does work on the client's processor."""
    loaded = scenario.processor.cpu == "loaded"  # else nothing is drawn
    rng = streams.generator("background", client) if loaded else _NO_DRAWS
    return partial(work, env, processor=scenario.processor, rng=rng)


def _to_do(
    scenario: Scenario,
    channel: ChannelState,
    demand: Demand,
    allocation: Allocation,
    backlog: Backlog,
    hz: Array,
) -> tuple[list[float], list[tuple[Update, ...]]]:
    """Seconds of each client's download, and its updates: the pending one, then the new one."""
    planned = phases(scenario, channel, demand, allocation)
    slower = scenario.per_client("cpu_hz") / hz
    fixed_s = (planned.fixed_s * slower).tolist()
    prunable_s = (planned.prunable_s * slower).tolist()
    open_s = (compute_s(scenario, backlog.updates) * slower).tolist()
    bits = upload_bits(demand, allocation.kept_fraction).tolist()
    updates: list[tuple[Update, ...]] = []
    for k in range(scenario.clients):
        stages = ((fixed_s[k], "fixed work done"), (prunable_s[k], "prunable work done"))
        new = Update(stages, bits[k], "uploaded")
        old = Update(((open_s[k], None),), float(backlog.upload_bits[k]), "late update arrived")
        updates.append((old, new) if backlog.pending[k] else (new,))
    return planned.download_s.tolist(), updates


def _drop_out(
    env: simpy.Environment, scenario: Scenario, streams: Streams, processes: list[simpy.Process]
) -> None:
    """Interrupt the clients that this round loses, at a moment uniform over the deadline.

    A client that has finished by then is not lost.
    """
    if scenario.medium.dropout_probability == 0:
        return

    def vanish(process: simpy.Process, _: simpy.Event) -> None:
        if process.is_alive:
            process.interrupt()

    for client, process in enumerate(processes):
        drops, moment = streams.generator("dropout", client).random(2)
        if drops < scenario.medium.dropout_probability:
            env.timeout(float(moment * scenario.deadline_s)).callbacks.append(
                partial(vanish, process)
            )


def _server(
    env: simpy.Environment,
    processes: list[simpy.Process],
    scenario: Scenario,
    trace: list[Line],
    look: Callable[[], _Figures],
) -> Generator[simpy.Event, None, tuple[float, _Figures]]:
    """Wait as the deadline policy says; return the end of the round and the state at that moment.

    A client that finishes within rounding of the deadline is awaited, but the round has ended at
    the deadline where another one is late.
    """
    yield env.all_of(processes) | env.timeout(scenario.deadline_s)
    if any(process.is_alive for process in processes):
        at_deadline = None if scenario.deadline_policy == "wait" else look()
        yield env.all_of(processes) | env.timeout(scenario.deadline_s * ON_TIME - env.now)
        if any(process.is_alive for process in processes):
            trace.append((scenario.deadline_s, SERVER, "deadline"))
            if at_deadline is not None:
                return scenario.deadline_s, at_deadline
            yield env.all_of(processes)
    return float(env.now), look()


def _look(
    clients: list[Client], band: Band, packets: list[Packets] | None, keeps: NDArray[np.bool_]
) -> _Figures:
    """State of all clients now; `keeps` marks the clients with bits to upload in this round."""
    band.settle()
    for client in clients:
        client.settle()
    pending = [client.pending(bool(kept)) for client, kept in zip(clients, keeps, strict=True)]
    open_bits = [
        client.open_bits(update) if update else 0.0
        for client, update in zip(clients, pending, strict=True)
    ]
    again = [packet.retransmissions for packet in packets] if packets else [0] * len(clients)
    return _Figures(
        spent_s={
            phase: np.array([client.spent_s[phase] for client in clients]) for phase in PHASES
        },
        cpu_s=np.array([client.cpu_s for client in clients]),
        air_s=band.air_s.copy(),
        lost=np.array([client.lost for client in clients]),
        retransmissions=np.array(again, dtype=np.int64),
        keeps=keeps,
        pending=np.array([update is not None for update in pending]),
        open_s=np.array([update.open_s if update else 0.0 for update in pending]),
        open_bits=np.array(open_bits),
        band_s=float(band.band_s.sum()),
    )
