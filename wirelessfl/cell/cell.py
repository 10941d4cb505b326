"""The cell as discrete events: every client downloads, computes, then uploads over its share of the
band (SimPy).

The cell takes what was allocated and what the channel really was, and says what happened. Without
losses or contention it equals max_k T_k of [WFL] eq. (16)-(18).
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
    """One round of the cell, from the start of the downlink at second 0 until the server goes on.

    Under the policy `wait` the server goes on when all have finished; under `drop` and
    `late-next-round` at the deadline at the latest. A late client's upload is followed to its end
    either way, so that `finish_s` is known; it is inf for lost clients (dropped out or gave up) and
    for clients with bits to send and no band or rate. The gain changes in the first 10 000
    coherence blocks of a round and then stays, so that every round ends.

    Energy, retransmissions and the use of the band count up to the round's end under every policy:
    a client whose update is late stops there or goes on in the next round, which then pays for it.

    Packet losses, dropouts and background load are drawn from `streams` (of seed 0 unless given), per
    client.

    Under `late-next-round` a client first does the open work and sends the open bits of its
    `backlog`, then this round's; seconds and trace end with the round, since what is open then is
    done in the next. A late download is not carried over: every round starts with a new one.
    `finish_s` of a late client is when it would have finished under this round's allocation.
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
