"""Runs side by side: one row of measures per run, and their accuracy over simulated time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.grid.measures import SHOWN, measured
from studies.report.curves import COLOURS, LINES
from studies.report.one_run.frames import data_frame
from studies.report.one_run.run import Run
from studies.report.output import new_figure
from studies.report.scores import score_label
from wirelessfl.config.scenario_file import SECTIONS, SELECTORS, Tables, to_tables
from wirelessfl.errors import InputError
from wirelessfl.text import html_table, text_table

INCHES = (5.0, 3.6)
MOST_FIELDS = 3  # in a label


@dataclass(frozen=True, repr=False)
class Comparison:
    """Measures of several runs.

    Attributes:
        runs: Label -> run.
        measures: Label -> measure -> value.
    """

    runs: Mapping[str, Run]
    measures: Mapping[str, Mapping[str, float]]

    @classmethod
    def of(
        cls, runs: Mapping[str, Run] | Sequence[Run], to_accuracy: float | None = None
    ) -> "Comparison":
        """Compare runs.

        Args:
            runs: The runs, by label or in order; labels are then the fields in which they differ.
            to_accuracy: Test accuracy in [0, 1] whose time, bits and energy are measured, or None.

        Returns:
            The comparison.

        Raises:
            InputError: There is no run, or something else than a run.
        """
        named = dict(runs) if isinstance(runs, Mapping) else dict(_labelled(list(runs)))
        if not named:
            raise InputError("compare must be given at least one run, got none")
        for run in named.values():
            if not isinstance(run, Run):
                raise InputError(f"compare must be given runs, got {run!r}")
        found = {label: measured(run, to_accuracy) for label, run in named.items()}
        return cls(named, found)

    def rows(self) -> list[dict[str, Any]]:
        """One row per run: label, rounds and measures; None for one that a run lacks."""
        names = dict.fromkeys(name for found in self.measures.values() for name in found)
        return [
            {
                "run": label,
                "rounds": len(self.runs[label]),
                **{name: found.get(name) for name in names},
            }
            for label, found in self.measures.items()
        ]

    def to_pandas(self) -> Any:
        """The rows as a pandas data frame.

        Raises:
            InputError: pandas is not installed.
        """
        return data_frame(self.rows())

    def plot(self) -> Any:
        """Accuracy over simulated time, one line per run with training.

        Returns:
            A matplotlib figure.
        """
        figure = new_figure(*INCHES)
        axes = figure.subplots()
        score = "accuracy"
        for index, (label, run) in enumerate(self.runs.items()):
            accuracy = run.series("accuracy")
            there = ~np.isnan(accuracy)
            if not there.any():
                continue
            score = score_label(to_tables(run.experiment)["training"])
            axes.plot(
                run.series("clock_s")[there],
                100 * accuracy[there],
                label=label,
                color=COLOURS[index % len(COLOURS)],
                linestyle=LINES[index % len(LINES)],
                marker="o",
                markersize=3,
            )
        axes.set(xlabel="simulated time (s)", ylabel=f"test {score.partition(',')[0]} (%)")
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize="small", frameon=False)
        return figure

    def __repr__(self) -> str:
        """The table as text."""
        return text_table(*self._cells())

    def _repr_html_(self) -> str:
        """The table for notebooks."""
        return html_table(*self._cells())

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Headings and cells: one row per measure, one column per run."""
        rows = self.rows()
        table = [["rounds", *(str(row["rounds"]) for row in rows)]]
        for name in rows[0]:
            if name in SHOWN:
                heading, factor = SHOWN[name]
                table.append([heading, *(_cell(row[name], factor) for row in rows)])
        return ["", *self.runs], table


def _cell(value: float | None, factor: float) -> str:
    return "-" if value is None or np.isnan(value) else f"{factor * value:.4g}"


def _labelled(runs: list[Run]) -> list[tuple[str, Run]]:
    """Labels of runs: the fields in which they differ, or their numbers where these are many."""
    for run in runs:
        if not isinstance(run, Run):
            raise InputError(f"compare must be given runs, got {run!r}")
    tables = [to_tables(run.experiment) for run in runs]
    differing = [
        (section, field)
        for section in SECTIONS
        for field in dict.fromkeys(name for table in tables for name in table[section])
        if len({repr(table[section].get(field)) for table in tables}) > 1
    ]
    if len(differing) > MOST_FIELDS:
        selectors = [(section, key) for section, (key, _) in SELECTORS.items()]
        differing = [one for one in differing if one in selectors]
    found: dict[str, Run] = {}
    for number, (run, table) in enumerate(zip(runs, tables, strict=True), start=1):
        label = _label(table, differing) or f"run {number}"
        found[label if label not in found else f"{label} ({number})"] = run
    return list(found.items())


def _label(table: Tables, differing: Sequence[tuple[str, str]]) -> str:
    return ", ".join(
        f"{field}={table[section][field]}"
        for section, field in differing
        if field in table[section]
    )
