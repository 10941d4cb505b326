"""The tables of a sweep for the terminal."""

from collections.abc import Mapping

import numpy as np

from studies.grid.measures import cell_text
from studies.grid.result import SweepResult
from studies.report.terminal import print_table, print_text
from studies.views.whatif.units import label_of, shown

TRAINED = {  # measure -> heading
    "accuracy": "accuracy %",
    "best_accuracy": "best %",
}
REACHED = {
    "seconds_to": "s",
    "megabits_to": "Mbit",
    "joules_to": "J",
    "reached": "seeds %",
}
RADIO = {
    "kept_model": "kept model %",
    "round_s": "round ms",
    "energy_j": "energy J",
    "uplink_mbit": "uplink Mbit",
    "miss_rate": "misses %",
    "starved": "starved",
}
UNSERVED = {"infeasible": "infeasible", "late": "late"}  # at the end of every table


def print_sweep(result: SweepResult, to_accuracy: float | None = None) -> None:
    """Print means and standard errors over seeds: training and radio, one row per point.

    Args:
        result: The sweep.
        to_accuracy: The accuracy whose time, bits and energy are measured, or None.
    """
    seeds = len(result.points[0].experiments)
    print_text(
        f"{len(result.points)} points, {seeds} seed{'s' * (seeds > 1)} each"
        + ("; mean ± one standard error over seeds" if seeds > 1 else "")
    )
    to = "" if to_accuracy is None else f"to an accuracy of {to_accuracy:.4g}"
    for title, headings in (("training", TRAINED), (to, REACHED), ("per round", RADIO)):
        names = [name for name in headings if name in result.names]
        if names:
            _print(result, title, {name: headings[name] for name in names} | UNSERVED)


def _print(result: SweepResult, title: str, headings: Mapping[str, str]) -> None:
    axes = [label_of(axis.name) if axis.numeric else axis.field for axis in result.axes]
    rows = [
        [
            *(value_text(name, value) for name, value in point.values.items()),
            *(cell_text(result.sample(index, name), name) for name in headings),
        ]
        for index, point in enumerate(result.points)
    ]
    print_table([*axes, *headings.values()], rows, title=title, keys=len(axes))


def value_text(name: str, value: object) -> str:
    """A varied value in the unit of its label."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (int, float)):
        return str(value)
    return f"{float(shown(name, np.asarray(value))):.6g}"
