"""Checks of claims that several studies share."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import numpy as np

from studies.report.results import Sample, Table, Verdict

Check = Callable[[Table], Verdict]


def compare(larger: Sample, smaller: Sample) -> Verdict:
    """Check that `larger` is above `smaller` in the mean over seeds.

    The figures give the difference paired by seed, with a note where its 95 % interval contains 0,
    as it may then be due to chance.

    Args:
        larger: The sample that is claimed to be larger.
        smaller: The sample it is compared to, over the same seeds.

    Returns:
        The verdict with its figures.
    """
    difference = larger - smaller
    note = ", may be chance (95 % interval)" if _may_be_chance(difference) else ""
    return Verdict(
        difference.mean > 0, f"{larger} against {smaller}, difference {difference}{note}"
    )


def _may_be_chance(difference: Sample) -> bool:
    return abs(difference.mean) <= difference.margin


def above(column: str, higher: str, lower: str) -> Check:
    """Check that row `higher` is above row `lower` in `column`, in the mean over seeds."""

    def check(table: Table) -> Verdict:
        verdict = compare(table.sample(higher, column), table.sample(lower, column))
        return Verdict(verdict.holds, f"{higher} against {lower}: {verdict.figures}")

    return check


def increasing(column: str, labels: Sequence[str]) -> Check:
    """Check that the means of `column` grow strictly over the rows `labels`."""

    def check(table: Table) -> Verdict:
        samples = [table.sample(label, column) for label in labels]
        steps = [later - earlier for earlier, later in pairwise(samples)]
        noisy = sum(_may_be_chance(step) for step in steps)
        note = f" ({noisy} of {len(steps)} steps may be chance, 95 % interval)" if noisy else ""
        figures = ", ".join(
            f"{label}: {sample}" for label, sample in zip(labels, samples, strict=True)
        )
        return Verdict(all(step.mean > 0 for step in steps), figures + note)

    return check


def decreasing(column: str, labels: Sequence[str]) -> Check:
    """Check that the means of `column` fall strictly over the rows `labels`."""
    return increasing(column, labels[::-1])


def within(column: str, label: str, low: float, high: float) -> Check:
    """Check that the mean of `column` in row `label` lies in [low, high]."""
    return lambda table: _between(table.sample(label, column), low, high, "")


def difference_within(column: str, label: str, reference: str, low: float, high: float) -> Check:
    """Check that row `label` minus row `reference` in `column` lies in [low, high] in the mean."""
    return lambda table: _between(
        table.sample(label, column) - table.sample(reference, column), low, high, "difference "
    )


def _between(sample: Sample, low: float, high: float, prefix: str) -> Verdict:
    """The verdict on a range, with a note where the 95 % interval crosses one of its ends."""
    holds = low <= sample.mean <= high
    inside = sample.mean - low, high - sample.mean
    unsure = any(abs(distance) < sample.margin for distance in inside)
    note = ", may be chance (95 % interval)" if unsure else ""
    return Verdict(holds, f"{prefix}{sample}, expected {low:g} to {high:g}{note}")


def averaged(table: Table, column: str, labels: Iterable[str]) -> Sample:
    """The mean over rows, seed by seed.

    Args:
        table: A study's results table.
        column: A measured column.
        labels: The rows to average.

    Returns:
        One mean per seed.
    """
    return Sample(
        tuple(np.mean([table.sample(label, column).values for label in labels], axis=0).tolist())
    )


def highest(table: Table, column: str, label: str, others: Iterable[str]) -> Verdict:
    """Check that a row has a larger mean than all others.

    Args:
        table: A study's results table.
        column: A measured column.
        label: The row that is claimed to be highest.
        others: The rows it is compared to.

    Returns:
        The verdict; its figures give the difference to the best of the others.
    """
    return _first(table, column, label, others, 1.0)


def lowest(table: Table, column: str, label: str, others: Iterable[str]) -> Verdict:
    """Check that a row has a smaller mean than all others.

    Args:
        table: A study's results table.
        column: A measured column.
        label: The row that is claimed to be lowest.
        others: The rows it is compared to.

    Returns:
        The verdict; its figures give the difference to the least of the others.
    """
    return _first(table, column, label, others, -1.0)


def _first(table: Table, column: str, label: str, others: Iterable[str], sign: float) -> Verdict:
    samples = {name: table.sample(name, column) for name in others}
    rival = max(samples, key=lambda name: sign * samples[name].mean)
    larger, smaller = (label, rival) if sign > 0 else (rival, label)
    verdict = compare(table.sample(larger, column), table.sample(smaller, column))
    rest = ", ".join(f"{name}: {sample}" for name, sample in samples.items() if name != rival)
    return Verdict(verdict.holds, f"{larger} against {smaller}: {verdict.figures}; {rest}")
