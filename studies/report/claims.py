"""Checks that claims of several studies share."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from studies.report.results import Sample, Table, Verdict

Check = Callable[[Table], Verdict]


def compare(larger: Sample, smaller: Sample) -> Verdict:
    """Whether `larger` is above `smaller` in the mean over seeds.

    The figures give the difference paired by seed; one below two standard errors is marked, for it may be chance.
    """
    difference = larger - smaller
    noise = abs(difference.mean) < 2.0 * difference.standard_error
    note = ", within two standard errors" if noise else ""
    return Verdict(difference.mean > 0, f"{larger} against {smaller}, difference {difference}{note}")


def above(column: str, higher: str, lower: str) -> Check:
    """Row `higher` is above row `lower` in `column`."""
    return lambda table: compare(table.sample(higher, column), table.sample(lower, column))


def increasing(column: str, labels: Sequence[str]) -> Check:
    """The means of `column` grow strictly over the rows `labels`."""

    def check(table: Table) -> Verdict:
        samples = [table.sample(label, column) for label in labels]
        steps = [later - earlier for earlier, later in pairwise(samples)]
        noisy = sum(abs(step.mean) < 2.0 * step.standard_error for step in steps)
        note = f" ({noisy} of {len(steps)} steps within two standard errors)" if noisy else ""
        figures = ", ".join(f"{label}: {sample}" for label, sample in zip(labels, samples, strict=True))
        return Verdict(all(step.mean > 0 for step in steps), figures + note)

    return check


def decreasing(column: str, labels: Sequence[str]) -> Check:
    """The means of `column` fall strictly over the rows `labels`."""
    return increasing(column, labels[::-1])


def within(column: str, label: str, low: float, high: float) -> Check:
    """The mean of `column` in row `label` lies in [low, high]."""

    def check(table: Table) -> Verdict:
        sample = table.sample(label, column)
        return Verdict(low <= sample.mean <= high, f"{sample}, expected {low:g} to {high:g}")

    return check


def difference_within(column: str, label: str, reference: str, low: float, high: float) -> Check:
    """Row `label` minus row `reference` in `column` lies in [low, high] in the mean."""

    def check(table: Table) -> Verdict:
        difference = table.sample(label, column) - table.sample(reference, column)
        return Verdict(low <= difference.mean <= high, f"difference {difference}, expected {low:g} to {high:g}")

    return check
