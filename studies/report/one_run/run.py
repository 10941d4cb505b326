"""A run, read from its folder or kept in memory: its records, its experiment, its model."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.report.columns import Columns, Records, read_column
from studies.report.one_run.fairness import Fairness
from studies.report.one_run.frames import LAYOUTS, data_frame
from studies.report.one_run.overview import overview
from studies.report.one_run.run_figure import run_figure
from studies.report.trained_model import TrainedModel
from wirelessfl.config.fields import hint_at
from wirelessfl.config.scenario_file import INPUTS, from_tables, read_tables
from wirelessfl.errors import InputError, check_choice
from wirelessfl.experiment import Experiment
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.records.run_memory import RunMemory
from wirelessfl.records.run_store import RunStore
from wirelessfl.records.stopping import RunProgress
from wirelessfl.text import html_table


@dataclass(frozen=True)
class _Recorded:
    """The records of a run, read again at every iteration."""

    folder: RunStore

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return self.folder.each_record()


@dataclass(frozen=True, repr=False)
class Run:
    """A run, read from its folder or kept in memory.

    Large fields are not kept in memory but read again.

    Attributes:
        records: The records in order.
        folder: The run folder, or the memory of this process; None for records from elsewhere.
        made_from: The experiment of a run in memory; None: that of the folder.
    """

    records: Records
    folder: RunStore | None = None
    made_from: Experiment | None = None

    @classmethod
    def read(cls, path: Path) -> "Run":
        """Read the run in folder `path`."""
        folder = RunFolder.open(path)
        return cls(_Recorded(folder), folder)

    @classmethod
    def of_memory(cls, memory: RunMemory, experiment: Experiment) -> "Run":
        """The run of an experiment in the memory of this process."""
        return cls(_Recorded(memory), memory, experiment)

    def __len__(self) -> int:
        """Number of rounds."""
        return self._columns.rounds

    def __repr__(self) -> str:
        """Origin and outcome in one line."""
        return f"<{'; '.join(f'{name}: {value}' for name, value in overview(self).items())}>"

    def _repr_html_(self) -> str:
        """Table of the overview, for notebooks."""
        return html_table(("run", ""), list(overview(self).items()))

    @property
    def experiment(self) -> Experiment:
        """The experiment of the run, read from its folder.

        Raises:
            InputError: The run has no folder.
        """
        if self.made_from is not None:
            return self.made_from
        if not isinstance(self.folder, RunFolder):
            raise InputError("records that come from no run folder tell of no experiment")
        tables = read_tables(self.folder.experiment_file)
        tables.pop(INPUTS, None)  # of files that may have gone since
        return from_tables(tables)

    @property
    def algorithm(self) -> Any:
        """The trained plug-in with its settings."""
        return self.experiment.algorithm

    @property
    def stopped(self) -> str | None:
        """Reason for which the run ended before `run.rounds`; None where it did not."""
        return RunProgress.of(self.records).ended(self.experiment.run)

    def client_accuracy(self) -> NDArray[np.float64]:
        """Accuracy of each client in every round.

        Returns:
            (rounds, K), each in [0, 1]; NaN in rounds without an evaluation.

        Raises:
            InputError: The run has recorded no accuracy of its clients.
        """
        rows = [] if self.folder is None else self.folder.rows("accuracy")
        if not rows:
            raise InputError(
                f"{self.folder.label if self.folder else 'the run'} has recorded no accuracy of "
                "its clients"
            )
        found = np.full((len(self), len(rows[0]["accuracy"])), np.nan)
        for row in rows:
            if row["round"] <= len(found):
                found[row["round"] - 1] = row["accuracy"]
        return found

    def fairness(self) -> Fairness:
        """Spread of the last evaluation over the clients.

        Returns:
            Mean, worst 10 % and standard deviation.

        Raises:
            InputError: The run has recorded no accuracy of its clients.
        """
        accuracy = self.client_accuracy()
        return Fairness.of(accuracy[~np.isnan(accuracy).any(axis=1)][-1])

    def wall_seconds(self) -> dict[str, NDArray[np.float64]]:
        """Wall-clock seconds of each round by phase: network, training, evaluation, recording.

        Returns:
            Phase -> seconds, (rounds,); NaN in rounds without a measurement.
        """
        rows = [] if self.folder is None else self.folder.rows("wall")
        phases = [name for name in (rows[0] if rows else ()) if name != "round"]
        found = {name: np.full(len(self), np.nan) for name in phases}
        for row in rows:
            for name in phases:
                if row["round"] <= len(self):
                    found[name][row["round"] - 1] = row[name]
        return found

    def to_pandas(self, per: str = "round") -> Any:
        """The records as a pandas data frame.

        Args:
            per: `round`, one row per round with totals over clients of bits and energy and means of
                ratios; or `client`, one row per round and participating client.

        Returns:
            The data frame.

        Raises:
            InputError: `per` is another word, or pandas is not installed.
        """
        check_choice("per", per, tuple(LAYOUTS))
        return data_frame(LAYOUTS[per](self))

    def plot(self) -> Any:
        """Loss and accuracy over simulated time, latency and pruning ratios of the clients.

        Returns:
            A matplotlib figure.
        """
        return run_figure(self)

    def trained_model(
        self,
        client: int | None = None,
        *,
        best: bool = False,
        data_root: Path | None = None,
        notify: Callable[[str], None] = print,
    ) -> TrainedModel:
        """The model in the last or best checkpoint, with its round and recorded accuracy.

        Args:
            client: Index of the client, whose personal part is included; None for the global model.
            best: Whether to take the best round (`run.keep_best`) instead of the last one.
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
            self.folder, self.experiment, client, best=best, data_root=data_root, notify=notify
        )

    def model(
        self, client: int | None = None, *, best: bool = False, data_root: Path | None = None
    ) -> Any:
        """The trained model, see `trained_model`.

        Args:
            client: Index of the client; None for the global model.
            best: Whether to take the best round instead of the last one.
            data_root: Folder of the data sets.

        Returns:
            A `torch.nn.Module` in evaluation mode.
        """
        return self.trained_model(client, best=best, data_root=data_root).module

    def state_dict(
        self, client: int | None = None, *, best: bool = False, data_root: Path | None = None
    ) -> dict[str, Any]:
        """Parameters and buffers of the trained model, see `trained_model`.

        Args:
            client: Index of the client; None for the global model.
            best: Whether to take the best round instead of the last one.
            data_root: Folder of the data sets.

        Returns:
            Tensors by their names in the model, in its order.
        """
        return dict(self.model(client, best=best, data_root=data_root).state_dict())

    def export(
        self,
        file: str | Path,
        client: int | None = None,
        *,
        best: bool = False,
        data_root: Path | None = None,
    ) -> None:
        """Write the trained model as a safetensors file, see `trained_model`.

        Args:
            file: The file, with the suffix .safetensors.
            client: Index of the client; None for the global model.
            best: Whether to take the best round instead of the last one.
            data_root: Folder of the data sets.
        """
        self.trained_model(client, best=best, data_root=data_root).write(Path(file), data_root)

    def series(self, field: str) -> NDArray[np.float64]:
        """A field of every round.

        Args:
            field: A field of the records; a method's own quantity is `extra.name`.

        Returns:
            (rounds,), or (rounds, K) for per-client fields; NaN where the field is null.

        Raises:
            InputError: The records have no such field; the message names those that they have.
        """
        column = self._columns.get(field)
        if column is not None:
            return column
        if field not in self._columns.names:
            raise InputError(f"series {field!r} is not known{hint_at(field, self._columns.names)}")
        return read_column(self.records, field)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that `series` takes, in the order of the records."""
        return self._columns.names

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
