"""The figure of a sweep: first varied field on x, second as lines, third as panels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from studies.grid.measures import SHOWN
from studies.grid.result import SweepResult
from studies.grid.tables import value_text
from studies.report.curves import LINES
from studies.report.output import new_figure
from studies.report.style import figure_style
from studies.views.whatif.units import label_of, shown
from wirelessfl.config.axis import Axis
from wirelessfl.errors import InputError, check_choice

MARKERS = "osD^vX"
PANEL_INCHES = (3.5, 2.6)
MOST_TICKS = 6


def default_measures(result: SweepResult) -> tuple[str, ...]:
    """Accuracy and what it takes to reach one where there is training, else kept model, latency."""
    if "seconds_to" in result.names:
        return ("accuracy", "seconds_to")
    return ("accuracy",) if "accuracy" in result.names else ("kept_model", "round_s")


def draw_sweep(
    result: SweepResult,
    measures: Sequence[str] | None = None,
    panel_inches: tuple[float, float] = PANEL_INCHES,
    style: str | None = None,
) -> Any:
    """Draw a sweep, ready for a paper.

    Args:
        result: The sweep.
        measures: One row of panels per measure; `default_measures` when omitted.
        panel_inches: Width and height of a panel, in inches.
        style: Name or file of a matplotlib style, whose colours replace those of the project.

    Returns:
        A matplotlib figure: means with bands of the 95 % interval over seeds. The x-axis is
        logarithmic where the values have a constant ratio.

    Raises:
        InputError: A measure or the style is unknown, or more than three fields vary.
    """
    with figure_style(style) as colours:
        return _drawn(result, measures, panel_inches, colours)


def _drawn(
    result: SweepResult,
    measures: Sequence[str] | None,
    panel_inches: tuple[float, float],
    colours: Sequence[str],
) -> Any:
    names = tuple(measures or default_measures(result))
    for name in names:
        check_choice("measure", name, result.names)
    if len(result.axes) > 3:
        raise InputError(f"a figure shows at most three varied fields, got {len(result.axes)}")
    x, *others = result.axes
    lines = others[0].values if others else (None,)
    panels = others[1].values if len(others) > 1 else (None,)
    width, height = panel_inches
    figure = new_figure(width * len(panels), height * len(names))
    grid = figure.subplots(len(names), len(panels), squeeze=False, sharex=True, sharey="row")
    for row, name in enumerate(names):
        for column, panel in enumerate(panels):
            axes = grid[row][column]
            for index, line in enumerate(lines):
                chosen = _chosen(result, others, line, panel)
                look = {
                    "label": None if line is None else _name(others[0], line),
                    "color": colours[index % len(colours)],
                    "linestyle": LINES[index % len(LINES)],
                    "marker": MARKERS[index % len(MARKERS)],
                }
                _draw_line(axes, result, chosen, name, look)
            axes.grid(alpha=0.3)
            if panel is not None and row == 0:
                axes.set_title(_name(others[1], panel), fontsize="medium")
            if column == 0:
                axes.set_ylabel(SHOWN[name][0])
            if row == len(names) - 1:
                axes.set_xlabel(label_of(x.name) if x.numeric else x.field.replace("_", " "))
            if x.logarithmic:
                _label_logarithmic(axes, x)
    if others:
        grid[0][0].legend(fontsize="small", frameon=False)
    return figure


def _chosen(result: SweepResult, others: Sequence[Axis], line: Any, panel: Any) -> list[int]:
    """The points of a line in a panel, in the order of x."""
    wanted = dict(zip((axis.name for axis in others), (line, panel), strict=False))
    return [
        index
        for index, point in enumerate(result.points)
        if all(point.values[name] == value for name, value in wanted.items())
    ]


def _draw_line(
    axes: Any, result: SweepResult, chosen: Sequence[int], name: str, look: Mapping[str, Any]
) -> None:
    x = result.axes[0]
    values = [result.points[point].values[x.name] for point in chosen]
    places = shown(x.name, np.array(values, float)) if x.numeric else np.arange(len(values))
    order = np.argsort(places)
    samples = [result.sample(point, name) for point in chosen]
    factor = SHOWN[name][1]
    mean = np.array([np.nan if one is None else factor * one.mean for one in samples])
    margin = np.array([np.nan if one is None else factor * one.margin for one in samples])
    axes.plot(places[order], mean[order], markersize=4, **look)
    if np.isfinite(margin).all():
        most = 100.0 if SHOWN[name][0].endswith("(%)") else np.inf
        low, high = np.clip([mean - margin, mean + margin], 0.0, most)[:, order]
        axes.fill_between(places[order], low, high, color=look["color"], alpha=0.2, linewidth=0)
    if not x.numeric:
        axes.set_xticks(places, [value_text(x.name, value) for value in values])


def _name(axis: Axis, value: Any) -> str:
    return (
        f"{label_of(axis.name)} {value_text(axis.name, value)}"
        if axis.numeric
        else _word(axis, value)
    )


def _label_logarithmic(axes: Any, x: Axis) -> None:
    """A logarithmic x-axis with at most `MOST_TICKS` of the values as its ticks."""
    axes.set_xscale("log")
    step = -(-len(x.values) // MOST_TICKS)
    places = shown(x.name, np.array(x.values[::step], dtype=np.float64))
    axes.set_xticks(places, [f"{place:.3g}" for place in places])
    axes.set_xticks([], minor=True)


def _word(axis: Axis, value: Any) -> str:
    """A value that is no number; a boolean and a list with the name of the field."""
    text = value_text(axis.name, value)
    return text if isinstance(value, str) else f"{axis.field.replace('_', ' ')} {text}"
