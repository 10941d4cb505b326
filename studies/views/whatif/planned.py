"""Energy, throughput, missed deadlines and the price of a megahertz of planned rounds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wirelessfl.cell import closed_form as formula
from wirelessfl.cell.cpu import cpu_hz
from wirelessfl.values import ON_TIME, Array, ChannelState, Demand, Scenario

MISSED = ("infeasible", "left out")  # statuses without an update in time, besides late clients


@dataclass(frozen=True, eq=False)
class Plan:
    """Planned rounds of one cell over several draws of its channel.

    Attributes:
        participates: Mask of the participants; (D, K).
        bandwidth_fraction: Fractions of the band; (D, K).
        kept_fraction: Kept fractions; (D, K).
        latency_s: Planned latencies in s; (D, K).
        status: Statuses of the clients; (D, K).
        bandwidth_price: Kept models per whole band; (D,).
        cpu_hz: CPU frequencies in Hz; (D, K). None: those of the scenario.
    """

    participates: NDArray[np.bool_]
    bandwidth_fraction: Array
    kept_fraction: Array
    latency_s: Array
    status: NDArray[np.str_]
    bandwidth_price: Array
    cpu_hz: Array | None = None


def planned_measures(
    scenario: Scenario, channel: ChannelState, demand: Demand, plan: Plan
) -> dict[str, Array]:
    """Measures of planned rounds that depend on the cell, not on the allocation problem alone.

    A round ends with its last client, or at the deadline where a client is later and the policy is
    not `wait`. Energy counts up to that moment, as in the cell.

    Args:
        scenario: Cell and clients.
        channel: Channel of the draws; gains (D, K).
        demand: Weight updates and bits of all clients; (K,).
        plan: The planned rounds.

    Returns:
        `energy_j` of all clients in a round, `throughput_bps` of the updates in time,
        `miss_rate`, the fraction of participants without an update in time, `price_per_mhz`, kept
        models per megahertz; and with the actual gains of the draws, constant within a round and
        without losses, `kept_on_time`, the kept models of the updates in time over the
        participants, and `all_on_time`, 1 where the updates of all are; (D,) each.
    """
    takes_part, kept, latency_s = plan.participates, plan.kept_fraction, plan.latency_s
    late = latency_s > scenario.deadline_s * ON_TIME
    missed = (late | np.isin(plan.status, MISSED)) & takes_part
    highest_hz = scenario.per_client("cpu_hz")
    hz = np.where(takes_part, cpu_hz(scenario, demand, plan, latency_s), highest_hz)
    updates = demand.fixed_updates + kept * demand.prunable_updates
    planned_hz = highest_hz if plan.cpu_hz is None else hz
    planned_s = formula.compute_s(scenario, updates) * (highest_hz / planned_hz)
    download_s = formula.download_s(scenario, demand, kept)
    upload_s = np.maximum(latency_s - download_s - planned_s, 0.0)
    compute_s = planned_s * (planned_hz / hz)
    finish_s = latency_s + (compute_s - planned_s)
    last_s = np.where(takes_part & np.isfinite(finish_s), finish_s, 0.0).max(axis=-1)
    cut = (late & takes_part).any(axis=-1) & (scenario.deadline_policy != "wait")
    round_s = np.where(cut, scenario.deadline_s, last_s)
    busy_s = formula.busy_s(download_s, compute_s, upload_s, finish_s, round_s[..., None])
    joules = formula.energy_j(scenario, channel, hz, *busy_s)
    arrives_s = download_s + compute_s + formula.phases(scenario, channel, demand, plan).upload_s
    arrives = arrives_s <= scenario.deadline_s * ON_TIME
    bits = np.where(takes_part & ~missed, formula.upload_bits(demand, kept), 0.0).sum(axis=-1)
    return {
        "energy_j": np.where(takes_part, joules, 0.0).sum(axis=-1),
        "throughput_bps": np.divide(bits, round_s, out=np.zeros_like(bits), where=round_s > 0),
        "miss_rate": missed.sum(axis=-1) / takes_part.sum(axis=-1),
        "price_per_mhz": plan.bandwidth_price * 1e6 / scenario.bandwidth_hz,
        "kept_on_time": np.where(takes_part & arrives, kept, 0.0).sum(axis=-1)
        / takes_part.sum(axis=-1),
        "all_on_time": (arrives | ~takes_part).all(axis=-1).astype(np.float64),
    }
