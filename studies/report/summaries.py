"""Summaries of runs that studies of several papers report."""

from collections.abc import Iterable

import numpy as np

from studies.report.results import Run, Sample, over_seeds

# evaluations in the reported mean: the paper does not say which round it reports
# ([CA-HFP] erratum C18)
LAST = 10


def last_ten(run: Run) -> float:
    """Accuracy, mean of the last ten evaluations."""
    return float(_evaluated(run)[-LAST:].mean())


def accuracy_columns(runs: list[Run]) -> dict[str, Sample]:
    """Accuracy as reported: mean of the last ten evaluations, and the best one."""
    return {
        "accuracy": over_seeds(runs, last_ten),
        "best_accuracy": over_seeds(runs, lambda run: float(_evaluated(run).max())),
    }


def first_reached(run: Run, accuracy: float, field: str = "round") -> float:
    """The round (or another field of its record) in which an evaluation first gave this accuracy."""
    reached = run.series("accuracy") >= accuracy
    return float(run.series(field)[reached.argmax() if reached.any() else -1])


def common_accuracy(runs: Iterable[list[Run]]) -> list[float]:
    """The accuracy that all of `runs` reach, for every seed: the lowest of their means over the
    last ten rounds.
    """
    return [min(last_ten(run) for run in same_seed) for same_seed in zip(*runs, strict=True)]


def _evaluated(run: Run) -> np.ndarray:
    accuracy = run.series("accuracy")
    return accuracy[~np.isnan(accuracy)]
