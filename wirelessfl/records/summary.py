"""Summary of a run, from its records alone."""

from typing import Any

import numpy as np


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Summary of a run from its records: plain numbers, simulated seconds.

    Args:
        records: Records of all rounds in order; at least one.

    Returns:
        Quantities by name; `energy_j` is NaN where a record has no energy of a client.
    """
    accuracies = [record["accuracy"] for record in records if record["accuracy"] is not None]
    latencies = [
        second for record in records for second in record["latency_s"] if second is not None
    ]
    late = ~np.array([record["delivered"] for record in records])
    ratios = np.array([record["pruning_ratio"] for record in records])
    return {
        "rounds": len(records),
        "clock_s": records[-1]["clock_s"],
        "final_loss": records[-1]["loss"],
        "final_accuracy": accuracies[-1] if accuracies else None,
        "best_accuracy": max(accuracies) if accuracies else None,
        "mean_round_s": float(np.mean([record["round_s"] for record in records])),
        "max_latency_s": float(max(latencies, default=0.0)),
        "mean_pruning_ratio": float(ratios.mean()),
        "starved_per_round": float((ratios >= 1.0).sum(axis=1).mean()),
        "late_per_round": float(late.sum(axis=1).mean()),
        "miss_rate": float(late.mean()),
        "lost_per_round": float(np.mean([sum(record["lost"]) for record in records])),
        "retransmissions": int(np.sum([record["retransmissions"] for record in records])),
        "band_utilisation": float(np.mean([record["band_utilisation"] for record in records])),
        "uplink_bits": float(np.sum([record["uplink_bits"] for record in records])),
        "downlink_bits": float(np.sum([record["downlink_bits"] for record in records])),
        "flops": float(np.sum([record["flops"] for record in records])),
        "energy_j": float(np.array([record["energy_j"] for record in records], np.float64).sum()),
    }
