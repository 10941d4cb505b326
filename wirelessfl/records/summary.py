"""Summary of a run, from its records alone."""

import math
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

# Fields that a summary reads.
SUMMARISED = (
    "clock_s",
    "round_s",
    "loss",
    "accuracy",
    "pruning_ratio",
    "latency_s",
    "delivered",
    "lost",
    "retransmissions",
    "band_utilisation",
    "uplink_bits",
    "downlink_bits",
    "flops",
    "energy_j",
)
_SUMS = (
    "round_s",
    "pruning_ratio",
    "band_utilisation",
    "uplink_bits",
    "downlink_bits",
    "flops",
    "energy_j",
)


def summarise(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Summary of a run from its records: plain numbers, simulated seconds.

    Records are taken one by one and not kept. Sums are rounded once over the clients of a round and
    once over the rounds.

    Args:
        records: Records of all rounds in order, with the fields `SUMMARISED`; at least one.

    Returns:
        Quantities by name; `energy_j` is NaN where a record has no energy of a client.
    """
    last: Mapping[str, Any] = {}
    final: float | None = None
    best: float | None = None
    longest_s = 0.0
    clients = starved = late = lost = again = 0
    sums = {name: array("d") for name in _SUMS}
    for record in records:
        last = record
        if record["accuracy"] is not None:
            final = record["accuracy"]
            best = final if best is None else max(best, final)
        longest_s = max(
            longest_s, max((s for s in record["latency_s"] if s is not None), default=0)
        )
        ratios = record["pruning_ratio"]
        clients += len(ratios)
        starved += sum(ratio >= 1.0 for ratio in ratios)
        late += record["delivered"].count(False)
        lost += sum(record["lost"])
        again += sum(record["retransmissions"])
        for name, values in sums.items():
            values.append(_sum(record[name]))
    rounds = len(sums["round_s"])
    total = {name: _sum(values) for name, values in sums.items()}
    return {
        "rounds": rounds,
        "clock_s": last["clock_s"],
        "final_loss": last["loss"],
        "final_accuracy": final,
        "best_accuracy": best,
        "mean_round_s": total["round_s"] / rounds,
        "max_latency_s": float(longest_s),
        "mean_pruning_ratio": total["pruning_ratio"] / clients,
        "starved_per_round": starved / rounds,
        "late_per_round": late / rounds,
        "miss_rate": late / clients,
        "lost_per_round": lost / rounds,
        "retransmissions": again,
        "band_utilisation": total["band_utilisation"] / rounds,
        "uplink_bits": total["uplink_bits"],
        "downlink_bits": total["downlink_bits"],
        "flops": total["flops"],
        "energy_j": total["energy_j"],
    }


def _sum(values: Any) -> float:
    """Sum that is rounded once; NaN with a missing value, inf beyond the range of a float."""
    if isinstance(values, float | int):
        return float(values)
    try:
        return math.fsum(values)
    except TypeError:  # null
        return math.nan
    except OverflowError:
        return math.inf
