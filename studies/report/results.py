"""What a study measures and claims: samples over seeds, its table, its claims, and the runs they
are read from.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from studies.report.columns import Columns, Records, read_column
from wirelessfl.config.scenario_file import INPUTS, from_tables, read_tables
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.records.run_folder import RunFolder

Experiments = Mapping[str, list[Experiment]]  # label -> one experiment per seed


@dataclass(frozen=True)
class Sample:
    """One quantity measured once per seed; seeds stand in the same order everywhere, so differences
    are paired.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.values))

    @property
    def standard_error(self) -> float:
        """The standard deviation of `mean`, estimated from the spread over seeds; NaN for a single
        seed.
        """
        count = len(self.values)
        return float(np.std(self.values, ddof=1) / math.sqrt(count)) if count > 1 else math.nan

    @property
    def margin(self) -> float:
        """Half the width of the 95 % confidence interval of `mean` (Student's t over the seeds);
        inf for one seed.
        """
        count = len(self.values)
        return float(stdtrit(count - 1, 0.975)) * self.standard_error if count > 1 else math.inf

    def __sub__(self, other: "Sample") -> "Sample":
        return Sample(
            tuple(mine - theirs for mine, theirs in zip(self.values, other.values, strict=True))
        )

    def __str__(self) -> str:
        mean, error = (
            round(self.mean, 9),
            round(self.standard_error, 9),
        )  # rounding errors of sums are no figures
        return f"{mean:.4g}" if math.isnan(error) else f"{mean:.4g} ± {error:.2g}"


Cell = str | float | None | Sample


@dataclass(frozen=True)
class Table:
    """A results table: rows with the same columns; the first column is the row's label."""

    rows: tuple[dict[str, Cell], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns' names, with their units."""
        return tuple(self.rows[0])

    def sample(self, label: str, column: str) -> Sample:
        """The measured quantity in row `label`."""
        for row in self.rows:
            if row[self.columns[0]] == label:
                cell = row[column]
                if isinstance(cell, Sample):
                    return cell
        raise InputError(f"the table has no measured {column!r} for {label!r}")


@dataclass(frozen=True)
class Verdict:
    """Whether a claim holds, and the figures that say so."""

    holds: bool
    figures: str

    def __str__(self) -> str:
        return f"{'holds' if self.holds else 'does not hold'}: {self.figures}"


@dataclass(frozen=True)
class Claim:
    """A statement of a paper and its check against the study's table."""

    text: str
    check: Callable[[Table], Verdict]


@dataclass(frozen=True)
class _Recorded:
    """The records in a run folder, read anew whenever they are asked for."""

    folder: RunFolder

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return self.folder.each_record()


@dataclass(frozen=True)
class Run:
    """One complete run, read back from its folder; what takes much memory is not kept but read
    again.

    `folder` is None for records that come from elsewhere.
    """

    records: Records
    folder: RunFolder | None = None

    @classmethod
    def read(cls, path: Path) -> "Run":
        """The run in folder `path`."""
        folder = RunFolder.open(path)
        return cls(_Recorded(folder), folder)

    def __len__(self) -> int:
        """Number of rounds."""
        return self._columns.rounds

    @property
    def experiment(self) -> Experiment:
        """What was run, as its folder says."""
        if self.folder is None:
            raise InputError("records that come from no run folder tell of no experiment")
        tables = read_tables(self.folder.experiment_file)
        tables.pop(INPUTS, None)  # of files that may have gone since
        return from_tables(tables)

    @property
    def algorithm(self) -> Any:
        """The plug-in that was trained, whose fields are its own."""
        return self.experiment.algorithm

    def series(self, field: str) -> NDArray[np.float64]:
        """One field of every round: (rounds,), or (rounds, K) for per-client fields; NaN where it
        is null.

        A method's own quantity is `extra.name`.
        """
        column = self._columns.get(field)
        return read_column(self.records, field) if column is None else column

    @cached_property
    def _columns(self) -> Columns:
        return Columns.of(self.records)

    @property
    def final_accuracy(self) -> float:
        """The last evaluation, in [0, 1]."""
        accuracy = self.series("accuracy")
        return float(accuracy[~np.isnan(accuracy)][-1])

    @property
    def final_loss(self) -> float:
        """Training loss, mean of the last ten rounds (one round's is noisy)."""
        return float(self.series("loss")[-10:].mean())

    @property
    def delivered_weights(self) -> float:
        """Weights sent to the server over the whole run, 32 bits each."""
        return float(self.series("uplink_bits").sum() / 32.0)


Runs = Mapping[str, list[Run]]  # label -> one run per seed


def over_seeds(runs: list[Run], quantity: Callable[[Run], float]) -> Sample:
    """`quantity` of every run."""
    return Sample(tuple(quantity(run) for run in runs))
