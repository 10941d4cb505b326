"""Work of simulating a round: estimated from its plan before the start, counted while it runs."""

import numpy as np
import simpy

from wirelessfl.border.budget import LIMITS, check_budget, factor
from wirelessfl.cell.band import LAST_BLOCK
from wirelessfl.cell.closed_form import Shares, phases, upload_bits
from wirelessfl.errors import InputError
from wirelessfl.text import in_full
from wirelessfl.values import Array, ChannelState, Demand, Scenario

_EVENTS_PER_JOB = 4  # arrival, interruption, end, resumption


def check_work(
    scenario: Scenario,
    channel: ChannelState,
    demand: Demand,
    allocation: Shares,
    planned_s: Array,
) -> None:
    """Refuse a scenario whose first round has more events or draws than the budget.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round; (K,).
        demand: Weight updates and bits; (K,).
        allocation: Bandwidth fractions and pruning ratios; (K,).
        planned_s: Planned latencies in s, inf for clients that never finish; (K,).

    Raises:
        InputError: The estimate is above the budget; names the field that causes it.
    """
    clients = scenario.clients
    planned = phases(scenario, channel, demand, allocation)
    cpu_s = float((planned.fixed_s + planned.prunable_s).sum())
    processor = scenario.processor
    if processor.cpu == "loaded":
        jobs = processor.background_rate_hz * cpu_s / (1.0 - processor.utilisation)
        check_budget(
            f"scenario.background_rate_hz = {in_full(processor.background_rate_hz)} over "
            f"{cpu_s:.3g} s of computation a round",
            "events",
            _EVENTS_PER_JOB * jobs,
        )
    link = scenario.link
    if link.packet_error != "none":
        bits = float(upload_bits(demand, allocation.kept_fraction).sum())
        check_budget(
            f"scenario.packet_bits = {in_full(link.packet_bits)} for {bits:.3g} bits a round",
            "events",
            bits / link.packet_bits + clients,
        )
    coherence_s = scenario.medium.coherence_s
    if coherence_s is not None and channel.block_gain is not None:
        finite_s = planned_s[np.isfinite(planned_s)]
        longest_s = max(scenario.deadline_s, float(finite_s.max(initial=0.0)))
        check_budget(
            f"scenario.coherence_s = {in_full(coherence_s)} in rounds of {longest_s:.3g} s "
            f"with {clients} clients",
            "draws",
            min(longest_s / coherence_s, LAST_BLOCK) * clients,
        )


def run_to_end(env: simpy.Environment) -> None:
    """Process all events of a round.

    Args:
        env: The environment.

    Raises:
        InputError: There are more events than the budget allows.
    """
    most = int(LIMITS["events"] * factor())
    try:
        for _ in range(most):
            env.step()
    except simpy.core.EmptySchedule:
        return
    raise InputError(
        f"a round has more than {most:.3g} events, the budget; --budget raises it: "
        "background jobs, packets or coherence blocks are too many for its length"
    )
