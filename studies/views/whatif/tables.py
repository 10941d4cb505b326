"""Tables of a what-if analysis for the terminal, and their content as plain values."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from optimizers import Breakpoint, WhatIf
from studies.report.terminal import terminal
from studies.views.whatif.units import label_of, shown
from studies.views.whatif.whatif import Sweep

MOST_ROWS = 100
WIDTH = 120  # of a table that is not printed to a terminal
FoundBreakpoints = Mapping[float | None, Sequence[Breakpoint]]
COLUMNS = {  # measure -> heading, factor from the measure to what is shown, format
    "mean_ratio": ("pruned %", 100.0, ".1f"),
    "latency_s": ("latency ms", 1e3, ".2f"),
    "starved": ("starved", 1.0, ".1f"),
    "infeasible": ("infeas.", 1.0, ".1f"),
    "left_out": ("left out", 1.0, ".1f"),
    "late": ("late", 1.0, ".1f"),
    "bandwidth_price": ("per band", 1.0, ".2f"),
    "deadline_price": ("per ms", 1e-3, ".2f"),
}


def print_what_if(result: WhatIf, found: FoundBreakpoints, sweep: Sweep) -> None:
    """Print means and standard errors per point, and changes of the mean channel's active set."""
    console = terminal()
    if not console.is_terminal:
        console.width = WIDTH
    table = result.table()
    first, *others = (values.size for values in result.axes.values())
    inner = math.prod(others)
    step = math.ceil(first * inner / MOST_ROWS)
    rows = [row for row in range(first * inner) if row // inner % step == 0]
    title = f"{first * inner} points, {sweep.sampled} channel draws each" + (
        f"; 1 in {step} shown" if step > 1 else ""
    )
    console.print(_points(result, table, rows, title))
    console.print(
        f"± one standard error over {sweep.varies}; per band and per ms: prices in clients' whole "
        "models",
        soft_wrap=True,
    )
    if "pareto" in table:
        console.print(
            "* no client is late and no shorter deadline keeps as much (Pareto front of deadline "
            "against kept model)",
            soft_wrap=True,
        )
    if any(found.values()):
        console.print(_changes(list(result.axes), found, sweep.has_drops))


def as_dict(result: WhatIf, found: FoundBreakpoints, sweep: Sweep) -> dict[str, Any]:
    """The table as columns of plain numbers (NaN where there is none), and the breakpoints."""
    names = list(result.axes)
    return {
        "axes": {name: values.tolist() for name, values in result.axes.items()},
        "draws": sweep.sampled,
        "drops": len(sweep.seeds),
        "varies": sweep.varies,
        "table": {name: values.tolist() for name, values in result.table().items()},
        "breakpoints": [
            {
                names[0]: point.value,
                **({} if other is None else {names[1]: other}),
                "client": point.client,
                "before": point.before,
                "after": point.after,
            }
            for other, points in found.items()
            for point in points
        ],
    }


def _points(result: WhatIf, table: dict[str, Any], rows: Sequence[int], title: str) -> Table:
    front = ("",) if "pareto" in table else ()
    headings = [heading for heading, _, _ in COLUMNS.values()]
    printed = Table(
        *(label_of(name) for name in result.axes),
        *headings,
        *front,
        title=title,
        box=SIMPLE_HEAD,
        padding=0,
    )
    for column in printed.columns:
        column.justify = "right"
    for row in rows:
        cells = [f"{shown(name, table[name][row]):.5g}" for name in result.axes]
        for measure, (_, factor, form) in COLUMNS.items():
            mean, error = (
                factor * table[measure][row],
                factor * table[f"{measure}_standard_error"][row],
            )
            cells.append(
                f"{mean:{form}}" + (f"±{error:{form}}" if float(f"{error:{form}}") > 0 else "")
            )
        printed.add_row(*cells, *(["*" if table["pareto"][row] else ""] if front else []))
    return printed


def _changes(names: list[str], found: FoundBreakpoints, has_drops: bool) -> Table:
    others = [label_of(name) for name in names[1:]]
    mean = "mean channel of the first drop" if has_drops else "mean channel"
    title = f"where the active set of the {mean} changes"
    printed = Table(*others, label_of(names[0]), "client", "from", "to", title=title)
    for other, points in found.items():
        for point in points:
            second = [] if other is None else [f"{shown(names[1], np.asarray(other)):.6g}"]
            value = f"{shown(names[0], np.asarray(point.value)):.6g}"
            printed.add_row(*second, value, str(point.client), point.before, point.after)
    return printed
