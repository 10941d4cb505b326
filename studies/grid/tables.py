"""The table of a sweep for the terminal."""

from collections.abc import Mapping

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from studies.grid.measures import cell_text
from studies.grid.result import SweepResult
from studies.report.terminal import terminal
from studies.views.whatif.units import label_of, shown

TRAINED = {  # measure -> heading
    "accuracy": "accuracy %",
    "best_accuracy": "best %",
    "seconds_to": "to accuracy s",
    "megabits_to": "to accuracy Mbit",
    "joules_to": "to accuracy J",
    "reached": "reach it %",
}
RADIO = {
    "kept_model": "kept model %",
    "round_s": "round ms",
    "energy_j": "energy J",
}
CLIENTS = {
    "infeasible": "infeasible",
    "late": "late",
    "starved": "starved",
    "miss_rate": "misses %",
}


def print_sweep(result: SweepResult) -> None:
    """Means with half the 95 % interval over seeds: training and radio, one row per point."""
    seeds = len(result.points[0].experiments)
    heading_line = f"{len(result.points)} points, {seeds} seed{'s' * (seeds > 1)} each" + (
        "; mean ± half of the 95 % interval over seeds" if seeds > 1 else ""
    )
    console = terminal()
    console.print(heading_line)
    for title, headings in (
        ("training", TRAINED),
        ("per round", RADIO),
        ("clients per round", CLIENTS),
    ):
        names = [name for name in headings if name in result.names]
        if names:
            console.print(_table(result, title, {name: headings[name] for name in names}))


def _table(result: SweepResult, title: str, headings: Mapping[str, str]) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    for axis in result.axes:
        table.add_column(label_of(axis.name) if axis.numeric else axis.field, no_wrap=True)
    for heading in headings.values():
        table.add_column(heading, justify="right")
    for index, point in enumerate(result.points):
        values = [value_text(name, value) for name, value in point.values.items()]
        cells = [cell_text(result.sample(index, name), name) for name in headings]
        table.add_row(*values, *cells)
    return table


def value_text(name: str, value: object) -> str:
    """A varied value in the unit of its label."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{float(shown(name, np.asarray(value))):.6g}"
