"""Summary of a run, from its records alone."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class RunTotals:
    """Totals of a run, a fold over its records in order.

    Sums are rounded once over the clients of a round and once after each round.

    Attributes:
        rounds: Number of rounds.
        clock_s: Simulated time in s.
        loss: Loss of the last round; NaN without one.
        accuracy: Accuracy of the last evaluation; NaN before the first.
        best: Highest accuracy; NaN before the first evaluation.
        longest_s: Largest latency in s.
        clients: Number of client-rounds.
        starved: Number of client-rounds at ratio 1.
        late: Number of client-rounds that missed the deadline.
        lost: Number of lost updates.
        retransmissions: Number of packets sent again.
        round_s: Sum of the durations in s.
        pruning_ratio: Sum of the ratios.
        band_utilisation: Sum of the utilisations of the band.
        uplink_bits: Sum of the bits sent.
        downlink_bits: Sum of the bits received.
        flops: Sum of the operations.
        energy_j: Sum of the energies in J; NaN with a missing one.
    """

    rounds: float = 0
    clock_s: float = 0.0
    loss: float = math.nan
    accuracy: float = math.nan
    best: float = math.nan
    longest_s: float = 0.0
    clients: float = 0
    starved: float = 0
    late: float = 0
    lost: float = 0
    retransmissions: float = 0
    round_s: float = 0.0
    pruning_ratio: float = 0.0
    band_utilisation: float = 0.0
    uplink_bits: float = 0.0
    downlink_bits: float = 0.0
    flops: float = 0.0
    energy_j: float = 0.0

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]]) -> "RunTotals":
        """Totals of records.

        Args:
            records: Records of all rounds in order, with the fields `SUMMARISED`, one by one.

        Returns:
            The totals.
        """
        totals = cls()
        for record in records:
            totals = totals.after(record)
        return totals

    def after(self, record: Mapping[str, Any]) -> "RunTotals":
        """Totals after one more round.

        Args:
            record: Its record.

        Returns:
            The new totals.
        """
        accuracy = record["accuracy"]
        finished_s = [second for second in record["latency_s"] if second is not None]
        ratios = record["pruning_ratio"]
        return RunTotals(
            self.rounds + 1,
            record["clock_s"],
            math.nan if record["loss"] is None else record["loss"],
            self.accuracy if accuracy is None else accuracy,
            self.best if accuracy is None or self.best >= accuracy else accuracy,
            max([self.longest_s, *finished_s]),
            self.clients + len(ratios),
            self.starved + sum(ratio >= 1.0 for ratio in ratios),
            self.late + record["delivered"].count(False),
            self.lost + sum(record["lost"]),
            self.retransmissions + sum(record["retransmissions"]),
            *(getattr(self, name) + _sum(record[name]) for name in _SUMS),
        )

    def summary(self) -> dict[str, Any]:
        """Plain numbers by name, simulated seconds; `energy_j` is NaN where one is missing."""
        return {
            "rounds": int(self.rounds),
            "clock_s": self.clock_s,
            "final_loss": _known(self.loss),
            "final_accuracy": _known(self.accuracy),
            "best_accuracy": _known(self.best),
            "mean_round_s": self.round_s / self.rounds,
            "max_latency_s": float(self.longest_s),
            "mean_pruning_ratio": self.pruning_ratio / self.clients,
            "starved_per_round": self.starved / self.rounds,
            "late_per_round": self.late / self.rounds,
            "miss_rate": self.late / self.clients,
            "lost_per_round": self.lost / self.rounds,
            "retransmissions": int(self.retransmissions),
            "band_utilisation": self.band_utilisation / self.rounds,
            "uplink_bits": self.uplink_bits,
            "downlink_bits": self.downlink_bits,
            "flops": self.flops,
            "energy_j": self.energy_j,
        }

    def pack(self) -> NDArray[np.float64]:
        """The totals as an array for a checkpoint."""
        return np.array(dataclasses.astuple(self), dtype=np.float64)

    @classmethod
    def unpack(cls, values: NDArray[Any]) -> "RunTotals":
        """The totals that `pack` gave.

        Args:
            values: The array.

        Returns:
            The totals.

        Raises:
            ValueError: The array has another shape.
        """
        if values.shape != (len(dataclasses.fields(cls)),):
            raise ValueError(f"totals must have {len(dataclasses.fields(cls))} values")
        return cls(*values.tolist())


def summarise(records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Summary of a run from its records: plain numbers, simulated seconds.

    Args:
        records: Records of all rounds in order, with the fields `SUMMARISED`; at least one. They
            are taken one by one and not kept.

    Returns:
        Quantities by name; `energy_j` is NaN where a record has no energy of a client.
    """
    return RunTotals.of(records).summary()


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


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
