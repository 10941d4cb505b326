"""Tables of a what-if analysis for the terminal, and their content as plain values."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from optimizers import Breakpoint, WhatIf
from studies.report.terminal import print_table, print_text
from studies.views.whatif.units import label_of, shown
from studies.views.whatif.vary import Vary
from studies.views.whatif.whatif import Sweep

MOST_ROWS = 100
FoundBreakpoints = Mapping[float | None, Sequence[Breakpoint]]
FEW_ROWS = 20  # with the second table
Columns = Mapping[str, tuple[str, float, str]]
COLUMNS: Columns = {  # measure -> heading, factor from the measure to what is shown, format
    "mean_ratio": ("pruned %", 100.0, ".1f"),
    "latency_s": ("latency ms", 1e3, ".2f"),
    "starved": ("starved", 1.0, ".1f"),
    "infeasible": ("infeas.", 1.0, ".1f"),
    "left_out": ("left out", 1.0, ".1f"),
    "late": ("late", 1.0, ".1f"),
    "price_per_mhz": ("per MHz", 1.0, ".3f"),
    "deadline_price": ("per ms", 1e-3, ".2f"),
}
OF_THE_CELL: Columns = {
    "energy_j": ("energy J", 1.0, ".3f"),
    "throughput_bps": ("throughput Mbit/s", 1e-6, ".1f"),
    "miss_rate": ("missed %", 100.0, ".1f"),
    "kept_on_time": ("kept on time %", 100.0, ".1f"),
    "all_on_time": ("all on time %", 100.0, ".1f"),
}


def print_what_if(result: WhatIf, found: FoundBreakpoints, sweep: Sweep) -> None:
    """Print means and standard errors per point, and changes of the mean channel's active set."""
    table = result.table()
    first, *others = (values.size for values in result.axes.values())
    inner = math.prod(others)
    step = math.ceil(first * inner / MOST_ROWS)
    rows = [row for row in range(first * inner) if row // inner % step == 0]
    title = f"{first * inner} points, {sweep.sampled} channel draws each" + (
        f"; 1 in {step} shown" if step > 1 else ""
    )
    _print_points(sweep, table, rows, title, COLUMNS)
    print_text(
        f"± one standard error over {sweep.varies}; per MHz and per ms: whole models kept, all "
        "clients together, for one more of it"
    )
    if "pareto" in table:
        print_text(
            "* no client is late and no shorter deadline keeps as much (Pareto front of deadline "
            "against kept model)"
        )
    if len(rows) <= FEW_ROWS:
        _print_points(sweep, table, rows, "all clients in a round, up to its end", OF_THE_CELL)
    if any(found.values()):
        _print_changes(sweep.axes, found, sweep.has_drops)


def as_dict(result: WhatIf, found: FoundBreakpoints, sweep: Sweep) -> dict[str, Any]:
    """The table as columns of plain numbers (NaN where there is none), and the breakpoints."""
    names = list(result.axes)
    return {
        "axes": {axis.name: axis.column(axis.values) for axis in sweep.axes},
        "draws": sweep.sampled,
        "drops": len(sweep.seeds),
        "varies": sweep.varies,
        "table": columns(result, sweep.axes),
        "breakpoints": [
            {
                names[0]: point.value,
                **({} if other is None else {names[1]: sweep.axes[1].column([other])[0]}),
                "client": point.client,
                "before": point.before,
                "after": point.after,
            }
            for other, points in found.items()
            for point in points
        ],
    }


def columns(result: WhatIf, axes: Sequence[Vary]) -> dict[str, list[Any]]:
    """The table as lists, with the values of the fields as a user gave them."""
    table: dict[str, list[Any]] = {name: values.tolist() for name, values in result.table().items()}
    return table | {axis.name: axis.column(table[axis.name]) for axis in axes}


def _print_points(
    sweep: Sweep, table: dict[str, Any], rows: Sequence[int], title: str, shown_columns: Columns
) -> None:
    axes = sweep.axes
    front = ("",) if "pareto" in table and shown_columns is COLUMNS else ()
    headings = [heading for heading, _, _ in shown_columns.values()]
    printed = []
    for row in rows:
        cells = [axis.text(table[axis.name][row]) for axis in axes]
        for measure, (_, factor, form) in shown_columns.items():
            mean, error = (
                factor * table[measure][row],
                factor * table[f"{measure}_standard_error"][row],
            )
            cells.append(
                f"{mean:{form}}" + (f"±{error:{form}}" if float(f"{error:{form}}") > 0 else "")
            )
        printed.append([*cells, *(["*" if table["pareto"][row] else ""] if front else [])])
    labels = [label_of(axis.name) for axis in axes]
    print_table([*labels, *headings, *front], printed, title=title, keys=len(axes))


def _print_changes(axes: Sequence[Vary], found: FoundBreakpoints, has_drops: bool) -> None:
    mean = "mean channel of the first drop" if has_drops else "mean channel"
    title = f"where the active set of the {mean} changes"
    rows = []
    for other, points in found.items():
        for point in points:
            second = [] if other is None else [axes[1].text(other)]
            value = f"{shown(axes[0].name, np.asarray(point.value)):.6g}"
            rows.append([*second, value, str(point.client), point.before, point.after])
    labels = [label_of(axis.name) for axis in axes]
    headings = [*labels[1:], labels[0], "client", "from", "to"]
    print_table(headings, rows, title=title, keys=len(axes), left=("from", "to"))
