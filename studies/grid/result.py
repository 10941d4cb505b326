"""The result of a sweep: measures per run and per point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from studies.grid.measures import SHOWN, cell_text, measured
from studies.grid.points import Point
from studies.report.one_run.frames import data_frame
from studies.report.one_run.run import Run
from studies.report.results import Sample
from studies.runner.single_run import folder_of, is_complete
from wirelessfl.config.axis import Axis
from wirelessfl.errors import check_choice
from wirelessfl.text import html_table, text_table


@dataclass(frozen=True, repr=False)
class SweepResult:
    """Measures of all points of a grid.

    Attributes:
        axes: The varied fields.
        points: The points of the grid.
        measures: Per point and seed, measure -> value; None for a run that is not complete.
        folders: Per point and seed, the run folder; empty for runs that were not kept.
    """

    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    measures: tuple[tuple[Mapping[str, float] | None, ...], ...]
    folders: tuple[tuple[Path, ...], ...]

    @classmethod
    def read(
        cls,
        axes: Sequence[Axis],
        points: Sequence[Point],
        root: Path,
        to_accuracy: float | None = None,
    ) -> "SweepResult":
        """Measure the complete runs of a grid.

        Args:
            axes: The varied fields.
            points: The points of the grid.
            root: The folder of the run folders.
            to_accuracy: Test accuracy in [0, 1] whose time, bits and energy are reported, or None.

        Returns:
            The result.
        """
        folders = tuple(
            tuple(folder_of(experiment, root) for experiment in point.experiments)
            for point in points
        )
        measures = tuple(
            tuple(
                measured(Run.read(path), to_accuracy) if is_complete(path, experiment) else None
                for path, experiment in zip(paths, point.experiments, strict=True)
            )
            for paths, point in zip(folders, points, strict=True)
        )
        return cls(tuple(axes), tuple(points), measures, folders)

    def __repr__(self) -> str:
        """The varied fields and the mean of every measure, one row per point."""
        return text_table(*self._cells())

    def _repr_html_(self) -> str:
        """The same as HTML, for notebooks."""
        return html_table(*self._cells())

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Headings and cells; mean and standard error in the unit of the heading."""
        headings = [axis.name for axis in self.axes]
        rows = [
            [
                *(str(value) for value in point.values.values()),
                *(cell_text(self.sample(index, name), name) for name in self.names),
            ]
            for index, point in enumerate(self.points)
        ]
        return [*headings, *(SHOWN[name][0] for name in self.names)], rows

    @property
    def names(self) -> tuple[str, ...]:
        """The measures, in the order of their columns."""
        names: dict[str, None] = {}
        for seeds in self.measures:
            for found in seeds:
                names.update(dict.fromkeys(found or ()))
        return tuple(names)

    def sample(self, point: int, name: str) -> Sample | None:
        """A measure of a point over its seeds; None where a run is missing or lacks it."""
        values = [None if found is None else found.get(name) for found in self.measures[point]]
        numbers = [value for value in values if value is not None and value == value]
        return Sample(tuple(numbers)) if len(numbers) == len(values) else None

    def run_rows(self) -> list[dict[str, Any]]:
        """One row per run: varied values, seed, run folder if there is one, measures."""
        rows = []
        for index, (point, seeds) in enumerate(zip(self.points, self.measures, strict=True)):
            for number, (experiment, found) in enumerate(
                zip(point.experiments, seeds, strict=True)
            ):
                folder = {"run": self.folders[index][number].name} if self.folders else {}
                cells = {name: (found or {}).get(name) for name in self.names}
                seed = experiment.run.seed
                rows.append({**point.values, "run.seed": seed, **folder, **cells})
        return rows

    def point_rows(self) -> list[dict[str, Any]]:
        """One row per point: varied values; mean, standard error and half the 95 % interval."""
        rows = []
        for index, point in enumerate(self.points):
            row: dict[str, Any] = {**point.values, "seeds": len(point.experiments)}
            for name in self.names:
                sample = self.sample(index, name)
                several = sample is not None and len(sample.values) > 1
                row[name] = None if sample is None else sample.mean
                row[f"{name}_se"] = sample.standard_error if sample and several else None
                row[f"{name}_ci95"] = sample.margin if sample and several else None
            rows.append(row)
        return rows

    def to_pandas(self, per: str = "run") -> Any:
        """The rows as a pandas data frame.

        Args:
            per: `run` or `point`.

        Raises:
            InputError: `per` is another word, or pandas is not installed.
        """
        check_choice("per", per, ("run", "point"))
        return data_frame(self.run_rows() if per == "run" else self.point_rows())
