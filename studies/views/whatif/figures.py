"""The figure of a what-if analysis: curves over one field, or maps over two."""

from collections.abc import Callable, Sequence
from math import ceil
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers import WhatIf
from studies.report.curves import COLOURS, LINES
from studies.report.output import new_figure
from studies.views.whatif.tables import FoundBreakpoints
from studies.views.whatif.units import label_of, shown, value_of
from studies.views.whatif.vary import Vary

Array = NDArray[np.float64]
COUNTS = ("starved", "infeasible", "left_out", "late")
SHARES = (*COUNTS, "miss_rate")  # axes that start at 0
MOST_CURVES = len(COLOURS)
ALIKE = 1e-9  # relative difference of values that count as the same
COLUMNS = 4  # of panels, at most
PANEL_INCHES = (3.15, 2.75)
Panel = tuple[str, str, Callable[[Array], Array]]
PANELS: tuple[Panel, ...] = (  # measure, axis label, from the measure to what is shown
    ("mean_ratio", "kept model (%)", lambda ratio: 100.0 * (1.0 - ratio)),
    ("latency_s", "round latency (ms)", lambda seconds: 1e3 * seconds),
    ("deadline_price", "kept models per ms", lambda price: 1e-3 * price),
    ("price_per_mhz", "kept models per MHz", lambda price: price),
    ("energy_j", "energy of a round (J)", lambda joules: joules),
    ("throughput_bps", "throughput (Mbit/s)", lambda bps: 1e-6 * bps),
    ("miss_rate", "missed deadlines (%)", lambda rate: 100.0 * rate),
    *(
        (measure, f"{measure.replace('_', ' ')} clients", lambda clients: clients)
        for measure in COUNTS
    ),
)


def draw_what_if(result: WhatIf, found: FoundBreakpoints, title: str, axes: Sequence[Vary]) -> Any:
    """Draw every measure that varies in its own panel, with a band of one standard error.

    Ticks in panel (a) mark changes of the active set. Measures that are the same at every point
    are numbers below the title.

    Args:
        result: The measures on the grid.
        found: Breakpoints by value of the second field.
        title: The title.
        axes: The varied fields.

    Returns:
        A matplotlib figure.
    """
    varying, constant = _varying(result)
    rows = ceil(len(varying) / COLUMNS)
    columns = ceil(len(varying) / rows)
    width, height = PANEL_INCHES
    figure = new_figure(max(2.0, columns) * width, rows * height)
    note = "; ticks in (a): the mean channel's active set changes" if any(found.values()) else ""
    lines = [title + note, *([f"the same at every point: {', '.join(constant)}"] * bool(constant))]
    figure.suptitle("\n".join(lines), fontsize="small", color="0.35")
    sizes = [values.size for values in result.axes.values()]
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in panels[len(varying) :]:
        unused.set_axis_off()
    panels = panels[: len(varying)]
    if len(sizes) == 2 and min(sizes) > MOST_CURVES:
        _maps(figure, panels, varying, result, axes)
    else:
        _curves(figure, panels, varying, result, found, axes)
    for letter, panel in zip(ascii_lowercase, panels, strict=False):
        panel.set_title(f"({letter})", loc="left", fontsize="medium")
    return figure


def _varying(result: WhatIf) -> tuple[list[Panel], list[str]]:
    """Panels of measures that differ over the grid, and the other measures as numbers.

    The ratio, and a grid of one point, always have panels.
    """
    varying, constant = [], []
    for panel in PANELS:
        measure, label, show = panel
        values = show(result.mean(measure)).ravel()
        first = float(values[0])
        alike = np.allclose(values, first, rtol=ALIKE, atol=0.0, equal_nan=True)
        if values.size > 1 and alike and measure != PANELS[0][0]:
            words, _, unit = label.removesuffix(")").partition(" (")
            constant.append(f"{words} {first:.4g} {unit}".rstrip())
        else:
            varying.append(panel)
    return varying, constant


def _curves(
    figure: Any,
    panels: Any,
    varying: Sequence[Panel],
    result: WhatIf,
    found: FoundBreakpoints,
    varied: Sequence[Vary],
) -> None:
    names = list(result.axes)
    along = 0 if len(names) == 1 or result.axes[names[1]].size <= MOST_CURVES else 1
    x = names[along]
    other = varied[1 - along] if len(names) == 2 else None
    values = _places(varied[along])
    for axes, (measure, label, show) in zip(panels, varying, strict=True):
        mean = np.moveaxis(result.mean(measure), along, -1).reshape(-1, values.size)
        error = np.moveaxis(result.standard_error(measure), along, -1).reshape(-1, values.size)
        for curve, (middle, spread) in enumerate(zip(mean, error, strict=True)):
            colour = COLOURS[curve]
            name = "" if other is None else _name(other, curve)
            marker = "o" if values.size <= 12 else None
            axes.plot(
                values,
                show(middle),
                color=colour,
                linestyle=LINES[curve],
                marker=marker,
                markersize=3,
                label=name,
            )
            if not np.isnan(spread).any():
                axes.fill_between(
                    values,
                    show(middle - spread),
                    show(middle + spread),
                    color=colour,
                    alpha=0.2,
                    lw=0,
                )
        axes.set(xlabel=label_of(x), ylabel=label)
        _name_ticks(axes.set_xticks, varied[along])
        axes.grid(alpha=0.3)
        axes.set_ylim(*_limits(measure, axes.get_ylim()))
    if along == 0:
        for curve, points in enumerate(found.values()):
            ticks = shown(x, np.array([point.value for point in points]))
            panels[0].plot(
                ticks,
                np.full(ticks.size, 0.04 + 0.05 * curve),
                "|",
                color=COLOURS[curve],
                ms=6,
                transform=panels[0].get_xaxis_transform(),
            )
    if other is not None:
        figure.legend(
            *panels[0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=3,
            fontsize="small",
        )


def _limits(measure: str, found: tuple[float, float]) -> tuple[float, float]:
    """Counts of clients start at 0, and the axis is not magnified where all are 0."""
    return (-0.05, max(found[1], 1.0)) if measure in SHARES else found


def _name(other: Vary, curve: int) -> str:
    value = float(other.values[curve])
    return other.text(value) if other.choices else value_of(other.name, value)


def _places(axis: Vary) -> Array:
    return axis.values if axis.choices else shown(axis.name, axis.values)


def _name_ticks(set_ticks: Callable[..., Any], axis: Vary) -> None:
    """Name the values of a field that are no numbers."""
    if axis.choices:
        set_ticks(axis.values, [axis.text(float(value)) for value in axis.values])


def _maps(
    figure: Any, panels: Any, varying: Sequence[Panel], result: WhatIf, varied: Sequence[Vary]
) -> None:
    first, second = result.axes
    for axes, (measure, label, show) in zip(panels, varying, strict=True):
        values = show(result.mean(measure))
        limits = {"vmin": 0.0, "vmax": max(values.max(), 1.0)} if measure in SHARES else {}
        colours = axes.pcolormesh(
            _places(varied[0]),
            _places(varied[1]),
            values.T,
            shading="nearest",
            cmap="cividis",
            rasterized=True,
            **limits,
        )
        figure.colorbar(colours, ax=axes, label=label)
        axes.set(xlabel=label_of(first), ylabel=label_of(second))
        _name_ticks(axes.set_xticks, varied[0])
        _name_ticks(axes.set_yticks, varied[1])
