"""Measurements and claims of a study: samples over seeds, its table, its claims and its runs."""

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
from studies.report.trained_model import TrainedModel
from wirelessfl.config.scenario_file import INPUTS, from_tables, read_tables
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.records.run_folder import RunFolder

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

    def __str__(self) -> str:
        # Nine digits, so that rounding errors of sums do not show as figures.
        mean, error = round(self.mean, 9), round(self.standard_error, 9)
        return f"{mean:.4g} ± {error:.2g}" if error > 0 else f"{mean:.4g}"


Cell = str | float | None | Sample


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
        holds: True if the claim holds.
        figures: The figures that support the outcome.
    """

    holds: bool
    figures: str

    def __str__(self) -> str:
        return f"{'holds' if self.holds else 'does not hold'}: {self.figures}"


@dataclass(frozen=True)
class Claim:
    """A statement of a paper and its check against the study's table.

    Attributes:
        text: The statement.
        check: Maps the table to the verdict.
    """

    text: str
    check: Callable[[Table], Verdict]


@dataclass(frozen=True)
class _Recorded:
    """The records in a run folder, read again at every iteration."""

    folder: RunFolder

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return self.folder.each_record()


@dataclass(frozen=True)
class Run:
    """A complete run, read from its folder.

    Large fields are not kept in memory but read again.

    Attributes:
        records: The records in order.
        folder: The run folder; None for records from elsewhere.
    """

    records: Records
    folder: RunFolder | None = None

    @classmethod
    def read(cls, path: Path) -> "Run":
        """Read the run in folder `path`."""
        folder = RunFolder.open(path)
        return cls(_Recorded(folder), folder)

    def __len__(self) -> int:
        """Number of rounds."""
        return self._columns.rounds

    @property
    def experiment(self) -> Experiment:
        """The experiment of the run, read from its folder.

        Raises:
            InputError: The run has no folder.
        """
        if self.folder is None:
            raise InputError("records that come from no run folder tell of no experiment")
        tables = read_tables(self.folder.experiment_file)
        tables.pop(INPUTS, None)  # of files that may have gone since
        return from_tables(tables)

    @property
    def algorithm(self) -> Any:
        """The trained plug-in with its settings."""
        return self.experiment.algorithm

    def trained_model(
        self,
        client: int | None = None,
        *,
        data_root: Path | None = None,
        notify: Callable[[str], None] = print,
    ) -> TrainedModel:
        """The model in the last checkpoint, with its round and recorded accuracy.

        Args:
            client: Index of the client, whose personal part is included; None for the global model.
            data_root: Folder of the data sets; that of WIRELESSFL_DATA if None.
            notify: Receives messages for the user, one line each.

        Returns:
            The model, which can be written to a file.

        Raises:
            InputError: The run has no folder, no training or no checkpoint, its data are missing,
                or there is no such model.
        """
        if self.folder is None:
            raise InputError("records that come from no run folder have no model")
        return TrainedModel.read(
            self.folder, self.experiment, client, data_root=data_root, notify=notify
        )

    def model(self, client: int | None = None, *, data_root: Path | None = None) -> Any:
        """The trained model, see `trained_model`.

        Args:
            client: Index of the client; None for the global model.
            data_root: Folder of the data sets.

        Returns:
            A `torch.nn.Module` in evaluation mode.
        """
        return self.trained_model(client, data_root=data_root).module

    def state_dict(
        self, client: int | None = None, *, data_root: Path | None = None
    ) -> dict[str, Any]:
        """Parameters and buffers of the trained model, see `trained_model`.

        Args:
            client: Index of the client; None for the global model.
            data_root: Folder of the data sets.

        Returns:
            Tensors by their names in the model, in its order.
        """
        return dict(self.model(client, data_root=data_root).state_dict())

    def export(
        self, file: str | Path, client: int | None = None, *, data_root: Path | None = None
    ) -> None:
        """Write the trained model as a safetensors file, see `trained_model`.

        Args:
            file: The file, with the suffix .safetensors.
            client: Index of the client; None for the global model.
            data_root: Folder of the data sets.
        """
        self.trained_model(client, data_root=data_root).write(Path(file), data_root)

    def series(self, field: str) -> NDArray[np.float64]:
        """A field of every round.

        Args:
            field: A field of the records; a method's own quantity is `extra.name`.

        Returns:
            (rounds,), or (rounds, K) for per-client fields; NaN where the field is null.
        """
        column = self._columns.get(field)
        return read_column(self.records, field) if column is None else column

    @cached_property
    def _columns(self) -> Columns:
        return Columns.of(self.records)

    @property
    def final_accuracy(self) -> float:
        """The accuracy of the last evaluation, in [0, 1]."""
        accuracy = self.series("accuracy")
        return float(accuracy[~np.isnan(accuracy)][-1])

    @property
    def final_loss(self) -> float:
        """Training loss, mean of the last ten rounds, as that of a single round is noisy."""
        return float(self.series("loss")[-10:].mean())

    @property
    def delivered_weights(self) -> float:
        """Number of weights sent to the server over the whole run, at 32 bits each."""
        return float(self.series("uplink_bits").sum() / 32.0)


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
