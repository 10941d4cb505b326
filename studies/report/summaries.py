"""Summaries of runs that the studies of several papers report."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from studies.report.one_run.run import Run
from studies.report.results import Sample, over_seeds

# Evaluations in the reported mean: the paper does not say which round it reports
# ([CA-HFP] erratum C18).
LAST = 10


def evaluations(run: Run) -> NDArray[np.float64]:
    """The measured accuracies of a run in order, (evaluations,), each in [0, 1]."""
    accuracy = run.series("accuracy")
    return accuracy[~np.isnan(accuracy)]


def mean_of_last(run: Run, last: int = LAST) -> float:
    """Accuracy of a run, mean of its last evaluations.

    Args:
        run: A complete run with at least one evaluation.
        last: Number of evaluations in the mean; 1 gives the final accuracy.

    Returns:
        The mean accuracy in [0, 1].
    """
    return float(evaluations(run)[-last:].mean())


def best_accuracy(run: Run) -> float:
    """The highest accuracy in [0, 1] among the evaluations of a run."""
    return float(evaluations(run).max())


def accuracy_columns(runs: list[Run], last: int = LAST) -> dict[str, Sample]:
    """The accuracy columns of a results table.

    Args:
        runs: One run per seed.
        last: Number of evaluations in the mean.

    Returns:
        `accuracy`, the mean of the last evaluations, and `best_accuracy`, over the seeds.
    """
    return {
        "accuracy": over_seeds(runs, lambda run: mean_of_last(run, last)),
        "best_accuracy": over_seeds(runs, best_accuracy),
    }


def common_accuracy(runs: Iterable[list[Run]], last: int = LAST) -> list[float]:
    """The accuracy that all schemes reach, for every seed: the lowest of their `mean_of_last`.

    Args:
        runs: The runs of every scheme, one per seed, the seeds in the same order.
        last: Number of evaluations in the mean.

    Returns:
        One accuracy per seed.
    """
    return [
        min(mean_of_last(run, last) for run in same_seed) for same_seed in zip(*runs, strict=True)
    ]


def first_index(run: Run, accuracy: float) -> int | None:
    """Index of the first round, from 0, whose evaluation reaches `accuracy`; None if none does."""
    reached = run.series("accuracy") >= accuracy
    return int(reached.argmax()) if reached.any() else None


def first_reached(run: Run, accuracy: float, field: str = "round") -> float:
    """The value of a record field in the first round whose evaluation reaches an accuracy.

    Args:
        run: A complete run.
        accuracy: The target in [0, 1].
        field: A field with one value per round: `round` counts rounds, `clock_s` simulated seconds.

    Returns:
        The field's value in that round, or in the last round if no evaluation reaches the target.
    """
    index = first_index(run, accuracy)
    return float(run.series(field)[-1 if index is None else index])


def largest(run: Run, name: str) -> float:
    """The largest value of a method's own quantity, over the rounds that have it."""
    return float(np.nanmax(run.series(f"extra.{name}")))


def until_accuracy(runs: list[Run], accuracies: Iterable[float], field: str = "round") -> Sample:
    """`first_reached` of every run, each with the target of its seed.

    Args:
        runs: One run per seed.
        accuracies: One target per seed, as `common_accuracy` returns them.
        field: See `first_reached`.

    Returns:
        The field's values over the seeds.
    """
    pairs = zip(runs, accuracies, strict=True)
    return Sample(tuple(first_reached(run, accuracy, field) for run, accuracy in pairs))
