"""Quantities of a complete run by which trials are ranked and constrained."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from studies.report.one_run.run import Run
from studies.report.summaries import first_index
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.records.run_folder import RunFolder


@dataclass(frozen=True)
class Metric:
    """The quantity by which trials are ranked.

    Attributes:
        field: A field of a run's summary.
        larger: True where a larger value is better.
    """

    field: str
    larger: bool = True

    def of(self, folder: RunFolder) -> float:
        """The value in a complete run; NaN if the run has none."""
        value = json.loads(folder.summary_file.read_text())[self.field]
        return math.nan if value is None else float(value)


@dataclass(frozen=True)
class RecordedMetric:
    """A quantity computed from the records of a run; a smaller value is better.

    Attributes:
        measure: Function of the run and of the index of the last round that counts.
        target: Test accuracy at which counting ends; None: all rounds count.
    """

    measure: Callable[[Run, int], float]
    target: float | None = None
    larger: bool = False

    def of(self, folder: RunFolder) -> float:
        """The value in a complete run; NaN if the target is never reached."""
        run = Run.read(folder.path)
        last = len(run) - 1 if self.target is None else first_index(run, self.target)
        return math.nan if last is None else self.measure(run, last)


AnyMetric = Metric | RecordedMetric


def _total(name: str) -> Callable[[Run, int], float]:
    return lambda run, last: float(run.series(name).sum(axis=1)[: last + 1].sum())


METRICS: Mapping[str, AnyMetric] = {
    "accuracy": Metric("final_accuracy"),
    "best-accuracy": Metric("best_accuracy"),
    "loss": Metric("final_loss", larger=False),
    "r2": Metric("final_accuracy"),
    "round-seconds": RecordedMetric(lambda run, last: float(run.series("round_s").mean())),
    "bits": RecordedMetric(_total("uplink_bits")),
    "energy": RecordedMetric(_total("energy_j")),
}
TO_ACCURACY: Mapping[str, Callable[[Run, int], float]] = {
    "seconds-to-accuracy": lambda run, last: float(run.series("clock_s")[last]),
    "bits-to-accuracy": _total("uplink_bits"),
    "energy-to-accuracy": _total("energy_j"),
}
NAMES = (*METRICS, *TO_ACCURACY)


def metric_of(name: str, to_accuracy: float | None) -> AnyMetric:
    """The metric of a name.

    Args:
        name: One of `NAMES`.
        to_accuracy: Test accuracy in [0, 1] of the metrics `...-to-accuracy`, or None.

    Returns:
        The metric.

    Raises:
        InputError: The name is unknown, or its accuracy is missing.
    """
    check_choice("--metric", name, NAMES)
    if name in METRICS:
        return METRICS[name]
    if to_accuracy is None:
        raise InputError(f"--metric {name} must be given with --to-accuracy, got none")
    check_number("--to-accuracy", to_accuracy, at_most=1)
    return RecordedMetric(TO_ACCURACY[name], to_accuracy)


@dataclass(frozen=True)
class Constraint:
    """An upper or lower limit of a metric.

    Attributes:
        name: Name of the metric.
        limit: The limit.
        upper: True for an upper limit.
    """

    name: str
    limit: float
    upper: bool

    @classmethod
    def parse(cls, text: str) -> "Constraint":
        """Parse `METRIC<=VALUE` or `METRIC>=VALUE`.

        Raises:
            InputError: The text has another form.
        """
        for sign in ("<=", ">="):
            name, found, limit = text.partition(sign)
            if found:
                check_choice("--constraint metric", name.strip(), NAMES)
                try:
                    return cls(name.strip(), float(limit), sign == "<=")
                except ValueError:
                    break
        raise InputError(f"--constraint must be METRIC<=VALUE or METRIC>=VALUE, got {text!r}")

    def excess(self, folder: RunFolder, to_accuracy: float | None) -> float:
        """Amount by which a complete run exceeds the limit; at most 0 where it holds."""
        value = metric_of(self.name, to_accuracy).of(folder)
        if math.isnan(value):
            return math.inf
        return value - self.limit if self.upper else self.limit - value
