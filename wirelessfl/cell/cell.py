"""Cell as discrete events (SimPy): every client downloads, computes, then uploads over its band.

Input are the allocation and the actual channel, output are times, energies and losses. Without
losses or contention the duration equals max_k T_k of [WFL] eq. (16)-(18).
"""

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.cell.client import SERVER
from wirelessfl.cell.ideal import undisturbed
from wirelessfl.cell.impaired import disturbed
from wirelessfl.cell.vectorised import beyond_formula
from wirelessfl.rng import Streams
from wirelessfl.values import Backlog, ChannelState, Demand, RoundTiming, Scenario

__all__ = ["SERVER", "simulate"]


def simulate(
    scenario: Scenario,
    channel: ChannelState,
    demand: Demand,
    allocation: Allocation,
    *,
    streams: Streams | None = None,
    backlog: Backlog | None = None,
) -> RoundTiming:
    """Simulate one round, from the start of the downlink at second 0 until the server can go on.

    Under the policy `wait` the server goes on when all clients have finished; under `drop` and
    `late-next-round` at the deadline at the latest. A late client's upload is followed to its end
    either way, so that `finish_s` is known; it is inf for lost clients (dropped out or gave up) and
    for clients that have bits to send and no band or rate. The gain changes in the first 10 000
    coherence blocks of a round and then stays, so that every round ends.

    Energy, retransmissions and band utilisation count up to the round's end under every policy: a
    client whose update is late stops there, or goes on in the next round, to which the rest is then
    charged.

    Under `late-next-round` a client first does the open work and sends the open bits of its
    `backlog`, then those of this round; seconds and trace end with the round, since the open part
    is done in the next one. A late download is not carried over: every round starts with a new one.
    `finish_s` of a late client is the moment at which it would have finished under this round's
    allocation.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round; gains (K,).
        demand: Weight updates and bits of each client; (K,).
        allocation: Bandwidth fractions and pruning ratios; (K,).
        streams: Random streams of packet losses, dropouts and background load, one per client;
            those of seed 0 unless given.
        backlog: Open work of late updates; none unless given.

    Returns:
        Time, energy and losses of each client; (K,).
    """
    if beyond_formula(scenario) is None and (backlog is None or not backlog.pending.any()):
        return undisturbed(scenario, channel, demand, allocation)
    return disturbed(
        scenario,
        channel,
        demand,
        allocation,
        streams or Streams(0),
        backlog or Backlog.none(scenario.clients),
    )
