"""Callbacks of a run: they read its records and change nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from wirelessfl.experiment import Experiment
from wirelessfl.values import RoundRecord


class Callback:
    """Base of callbacks: every method does nothing until it is overridden.

    A run has the same records with and without callbacks.
    """

    def on_start(self, experiment: Experiment, rounds: int) -> None:
        """Begin of a run.

        Args:
            experiment: The experiment.
            rounds: Number of rounds that are recorded already; above 0 for a resumed run.
        """

    def on_round(self, record: RoundRecord) -> None:
        """End of a round.

        Args:
            record: Record of the round.
        """

    def on_end(self, summary: Mapping[str, Any]) -> None:
        """End of a run, also by an error.

        Args:
            summary: Summary of the run; empty after an error.
        """


def scalars(record: RoundRecord) -> dict[str, float]:
    """Numbers of a round for a tracker.

    Args:
        record: Record of the round.

    Returns:
        Numbers by name: those of the record, totals over clients of bits and energy, and means over
        clients of pruning ratio and delivery; without those that are missing in this round.
    """
    energy_j = np.array(record.energy_j, dtype=np.float64)
    found = {
        "loss": record.loss,
        "accuracy": record.accuracy,
        "clock_s": record.clock_s,
        "round_s": record.round_s,
        "band_utilisation": record.band_utilisation,
        "pruning_ratio": float(np.mean(record.pruning_ratio)),
        "delivered": float(np.mean(record.delivered)),
        "uplink_bits": float(np.sum(record.uplink_bits)),
        "energy_j": float(energy_j.sum()),
        **{f"extra.{name}": value for name, value in record.extra.items()},
    }
    return {name: value for name, value in found.items() if value is not None and value == value}
