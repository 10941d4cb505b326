"""Series of one run for its figures, gathered from the records one by one."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]
# Fields of a record that the figures of a run show.
SHOWN = ("clock_s", "loss", "accuracy", "clients", "latency_s", "delivered", "pruning_ratio")

_COLUMNS = ("clock_s", "loss", "accuracy", "fast", "slow", "ratio")


@dataclass(frozen=True)
class RunSeries:
    """Values over the rounds, and the pruning ratios of each client.

    Attributes:
        clock_s: Simulated time at the end of each round in s; (rounds,).
        loss: Training loss; (rounds,), NaN where there is none.
        accuracy: Test score; (rounds,), NaN in rounds without an evaluation.
        fastest_s: Least latency of a client in s; (rounds,), NaN where all updates were lost.
        slowest_s: Largest latency of a client in s; (rounds,), NaN as above.
        mean_ratio: Mean pruning ratio over the participants of each round; (rounds,).
        miss_rate: Fraction of client-rounds that missed the deadline.
        ratios: Pruning ratios of each client in the rounds in which it took part, in order of the
            clients.
    """

    clock_s: Series
    loss: Series
    accuracy: Series
    fastest_s: Series
    slowest_s: Series
    mean_ratio: Series
    miss_rate: float
    ratios: Mapping[int, Series]

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]]) -> "RunSeries":
        """Series of the records.

        Args:
            records: Records in order with the fields `SHOWN`, of which none is kept.

        Returns:
            The series.
        """
        columns = {name: array("d") for name in _COLUMNS}
        ratios: dict[int, array[float]] = {}
        missed = count = 0
        for record in records:
            for name in ("clock_s", "loss", "accuracy"):
                columns[name].append(_number(record[name]))
            finished = [second for second in record["latency_s"] if second is not None]
            columns["fast"].append(min(finished, default=np.nan))
            columns["slow"].append(max(finished, default=np.nan))
            given = record["pruning_ratio"]
            columns["ratio"].append(sum(given) / len(given))
            missed += record["delivered"].count(False)
            count += len(record["delivered"])
            for client, ratio in zip(record["clients"], record["pruning_ratio"], strict=True):
                if client not in ratios:
                    ratios[client] = array("d")
                ratios[client].append(ratio)
        series = {name: np.array(values) for name, values in columns.items()}
        return cls(
            series["clock_s"],
            series["loss"],
            series["accuracy"],
            series["fast"],
            series["slow"],
            series["ratio"],
            missed / count if count else 0.0,
            {client: np.array(ratios[client]) for client in sorted(ratios)},
        )

    @property
    def trains(self) -> bool:
        """True if the last round has a loss."""
        return bool(self.loss.size) and not np.isnan(self.loss[-1])


def _number(value: float | None) -> float:
    return np.nan if value is None else value
