"""Checks of claims that several studies share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from studies.report.results import Sample, Table, Verdict

Check = Callable[[Table], Verdict]
TEN_CLASSES = 0.1  # accuracy of a guess among ten classes


def compare(larger: Sample, smaller: Sample) -> Verdict:
    """Check that `larger` is above `smaller` in the mean over seeds.

    The figures give the difference paired by seed; where its 95 % interval contains 0 the verdict
    is undecided.

    Args:
        larger: The sample that is claimed to be larger.
        smaller: The sample it is compared to, over the same seeds.

    Returns:
        The verdict with its figures.
    """
    difference = larger - smaller
    return Verdict.of([difference], f"{larger} against {smaller}, difference {difference}")


def above(column: str, higher: str, lower: str) -> Check:
    """Check that row `higher` is above row `lower` in `column`, in the mean over seeds."""

    def check(table: Table) -> Verdict:
        verdict = compare(table.sample(higher, column), table.sample(lower, column))
        return verdict.with_figures(f"{higher} against {lower}: {verdict.figures}")

    return check


def increasing(column: str, labels: Sequence[str]) -> Check:
    """Check that the means of `column` grow strictly over the rows `labels`."""

    def check(table: Table) -> Verdict:
        samples = [table.sample(label, column) for label in labels]
        steps = [later - earlier for earlier, later in pairwise(samples)]
        figures = ", ".join(
            f"{label}: {sample}" for label, sample in zip(labels, samples, strict=True)
        )
        return Verdict.of(steps, figures)

    return check


def decreasing(column: str, labels: Sequence[str]) -> Check:
    """Check that the means of `column` fall strictly over the rows `labels`."""
    return increasing(column, labels[::-1])


def positive(column: str, labels: Sequence[str]) -> Check:
    """Check that the means of `column` are above 0 in all rows `labels`."""

    def check(table: Table) -> Verdict:
        samples = {label: table.sample(label, column) for label in labels}
        figures = ", ".join(f"{label}: {sample}" for label, sample in samples.items())
        return Verdict.of(samples.values(), f"{column} {figures}")

    return check


def within(column: str, label: str, low: float, high: float) -> Check:
    """Check that the mean of `column` in row `label` lies in [low, high]."""
    return lambda table: _between(table.sample(label, column), low, high, "")


def difference_within(column: str, label: str, reference: str, low: float, high: float) -> Check:
    """Check that row `label` minus row `reference` in `column` lies in [low, high] in the mean."""
    return lambda table: _between(
        table.sample(label, column) - table.sample(reference, column), low, high, "difference "
    )


def _between(sample: Sample, low: float, high: float, prefix: str) -> Verdict:
    """The verdict on a range, undecided where the 95 % interval crosses one of its ends."""
    inside = sample.mean - low, high - sample.mean
    decided = all(abs(distance) >= sample.margin for distance in inside)
    note = "" if decided else ", may be chance (95 % interval)"
    return Verdict(
        min(inside) >= 0, f"{prefix}{sample}, expected {low:g} to {high:g}{note}", decided
    )


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict on several claims at once: refuted by one, undecided by one of the rest."""
    holds = all(verdict.holds for verdict in verdicts)
    decided = (
        all(verdict.decided for verdict in verdicts)
        if holds
        else any(verdict.outcome == "refuted" for verdict in verdicts)
    )
    return Verdict(holds, "; ".join(verdict.figures for verdict in verdicts), decided)


def beyond_chance(check: Check, column: str, labels: Iterable[str], chance: float) -> Check:
    """A check that is undecided where no row is above the level of chance.

    Args:
        check: The check.
        column: The column of accuracies.
        labels: The rows that the claim compares.
        chance: Accuracy of a guess.

    Returns:
        The check, undecided unless the 95 % interval of some row lies above `chance`.
    """

    def guarded(table: Table) -> Verdict:
        verdict = check(table)
        samples = [table.sample(label, column) for label in labels]
        if any(sample.mean - sample.margin > chance for sample in samples):
            return verdict
        return Verdict(
            verdict.holds, f"{verdict.figures}; no row is above chance, {chance:g}", decided=False
        )

    return guarded


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
    mine = table.sample(label, column)
    leads = [mine - sample if sign > 0 else sample - mine for sample in samples.values()]
    figures = f"{larger} against {smaller}: {verdict.figures}; {rest}"
    return replace(Verdict.of(leads, ""), figures=figures)
