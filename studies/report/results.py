"""Measurements and claims of a study: samples over seeds, its table and its claims."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from studies.report.one_run.run import Run
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment

Experiments = Mapping[str, list[Experiment]]  # label -> one experiment per seed


@dataclass(frozen=True)
class Sample:
    """A quantity measured once per seed.

    Samples list the seeds in the same order, so that differences are paired.

    Attributes:
        values: One value per seed.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.values))

    @property
    def standard_error(self) -> float:
        """Standard error of `mean`, estimated from the spread over seeds; NaN for a single seed."""
        count = len(self.values)
        return float(np.std(self.values, ddof=1) / math.sqrt(count)) if count > 1 else math.nan

    @property
    def margin(self) -> float:
        """Half the width of the 95 % confidence interval of `mean`; inf for a single seed.

        The interval is that of Student's t distribution over the seeds.
        """
        count = len(self.values)
        return float(stdtrit(count - 1, 0.975)) * self.standard_error if count > 1 else math.inf

    def __sub__(self, other: "Sample") -> "Sample":
        return Sample(
            tuple(mine - theirs for mine, theirs in zip(self.values, other.values, strict=True))
        )

    def scaled(self, factor: float, offset: float = 0.0) -> "Sample":
        """The sample of `factor` times the quantity plus `offset`."""
        return Sample(tuple(factor * value + offset for value in self.values))

    def __str__(self) -> str:
        # Nine digits, so that rounding errors of sums do not show as figures.
        mean, error = round(self.mean, 9), round(self.standard_error, 9)
        return f"{mean:.4g} ± {error:.2g}" if error > 0 else f"{mean:.4g}"


Cell = str | float | None | Sample
Outcome = Literal["holds", "refuted", "undecided"]
Kind = Literal["measured", "arithmetic", "by construction", "calibrated"]


@dataclass(frozen=True)
class Table:
    """A results table: rows with the same columns, of which the first is the row's label.

    Attributes:
        rows: Column -> cell, for every row.
    """

    rows: tuple[dict[str, Cell], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns' names, which include their units."""
        return tuple(self.rows[0])

    def sample(self, label: str, column: str) -> Sample:
        """The measured quantity in row `label`.

        Args:
            label: The value of the first column.
            column: A measured column.

        Returns:
            The sample over seeds.

        Raises:
            InputError: The table has no such measured cell.
        """
        for row in self.rows:
            if row[self.columns[0]] == label:
                cell = row[column]
                if isinstance(cell, Sample):
                    return cell
        raise InputError(f"the table has no measured {column!r} for {label!r}")


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check.

    Attributes:
        holds: True if the claim holds in the means over seeds.
        figures: The figures that support the outcome.
        decided: False where the 95 % intervals over seeds leave it open.
    """

    holds: bool
    figures: str
    decided: bool = True

    @classmethod
    def of(cls, margins: Iterable[Sample], figures: str) -> "Verdict":
        """The verdict on a claim that holds where every margin is above 0.

        It is decided where the 95 % interval of every margin lies above 0, or that of any below it.

        Args:
            margins: Quantities, each over the same seeds.
            figures: The figures that support the outcome.

        Returns:
            The verdict; a note in its figures marks one that may be chance.
        """
        margins = tuple(margins)
        holds = all(margin.mean > 0 for margin in margins)
        decided = (
            all(margin.mean > margin.margin for margin in margins)
            if holds
            else any(margin.mean < -margin.margin for margin in margins)
        )
        return cls(
            holds, figures if decided else f"{figures}, may be chance (95 % interval)", decided
        )

    @property
    def outcome(self) -> Outcome:
        """The claim holds, is refuted, or remains undecided."""
        if not self.decided:
            return "undecided"
        return "holds" if self.holds else "refuted"

    def with_figures(self, figures: str) -> "Verdict":
        """The same verdict, with other figures."""
        return replace(self, figures=figures)

    def __str__(self) -> str:
        return f"{self.outcome}: {self.figures}"


@dataclass(frozen=True)
class Claim:
    """A statement of a paper and its check against the study's table.

    Attributes:
        text: The statement.
        check: Maps the table to the verdict.
        kind: The ground on which the claim stands. "measured": the runs could have refuted it;
            "arithmetic": it follows from sizes and definitions; "by construction": the method
            enforces it; "calibrated": the scenario was fitted to it, or assumed. Only measured
            claims are evidence.
    """

    text: str
    check: Callable[[Table], Verdict]
    kind: Kind = "measured"


Runs = Mapping[str, list[Run]]  # label -> one run per seed


def over_seeds(runs: list[Run], quantity: Callable[[Run], float]) -> Sample:
    """A quantity of every run.

    Args:
        runs: One run per seed.
        quantity: Maps a run to the quantity.

    Returns:
        The quantity over the seeds.
    """
    return Sample(tuple(quantity(run) for run in runs))
