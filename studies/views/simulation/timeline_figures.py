"""The Gantt chart of one round: phases and losses of every client, and the deadline."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from studies.report.output import new_figure
from studies.views.simulation.simulation import Simulation
from studies.views.simulation.timeline import (
    BLOCK_LOST,
    CARRIED_OVER,
    INTERRUPTED,
    WAIT,
    Bar,
    Timeline,
)
from wirelessfl.errors import InputError
from wirelessfl.planning import participants
from wirelessfl.values import ON_TIME

# The palette of Okabe and Ito, safe for colour-blind readers; light and dark alternate, so that
# neighbours also differ in grey.
LOOKS: dict[str, dict[str, Any]] = {
    "download": {"facecolor": "#F0E442"},
    "late update": {"facecolor": "#CC79A7"},
    "fixed work": {"facecolor": "#E69F00"},
    "prunable work": {"facecolor": "#009E73"},
    "upload": {"facecolor": "#56B4E9"},
    INTERRUPTED: {"facecolor": "white", "hatch": "xxxx", "edgecolor": "0.45"},
    WAIT: {"facecolor": "0.9"},
}
LABELS: dict[str, str] = {
    "fixed work": "fixed work\n(importance, personal part)",
    "late update": "late update of the\nround before",
    INTERRUPTED: "interrupted by other jobs",
    WAIT: "waiting for the round's end",
}
LATE: dict[str, Any] = {
    "hatch": "////",
    "edgecolor": "#A02000",
}  # on top of a phase that goes on past the deadline
DEADLINE: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 1.3}
ROUND_END: dict[str, Any] = {"color": "0.35", "linestyle": ":", "linewidth": 1.3}
MARKS: dict[str, dict[str, Any]] = {
    BLOCK_LOST: {"marker": "|", "color": "black", "markeredgewidth": 0.9},
    "dropped out": {"marker": "x", "color": "#D00000", "markeredgewidth": 2.0},
    "gave up": {
        "marker": "s",
        "color": "#D00000",
        "markerfacecolor": "none",
        "markeredgewidth": 1.6,
    },
    CARRIED_OVER: {"marker": ">", "color": "#A02000", "clip_on": False},
}
MARK_LABELS = {
    BLOCK_LOST: "lost block, sent again",
    "gave up": "gave up sending",
    CARRIED_OVER: "late: goes on in\nthe next round",
}
WIDEST = 2.4  # width in deadlines; the finishing times of later clients are written out


def draw_timeline(found: Simulation, name: str) -> Any:
    """Draw the round that the simulation kept, one row per participating client.

    Args:
        found: A simulation with `seen`.
        name: Name of the scenario, for the title.

    Returns:
        A matplotlib figure.

    Raises:
        InputError: The simulation kept no round.
    """
    if found.seen is None:
        raise InputError("seen must name the round to draw when simulating, got None")
    scenario = found.experiment.scenario
    timing = found.seen.timing
    here = np.flatnonzero(participants(found.experiment, found.seen.round - 1)).tolist()
    line = _in_rows(Timeline.of(timing, found.seen.backlog.pending), here)
    clients = len(here)
    deadline_s = scenario.deadline_s
    row_inches = min(0.34, max(0.15, 9.0 / clients), 36.0 / clients)
    figure = new_figure(9.5, 1.3 + row_inches * max(clients, 7))
    axes = figure.subplots()
    last_s = max([bar.end_s for bar in line.bars] + [deadline_s])
    limit_s = min(last_s, WIDEST * deadline_s)
    for bar in line.bars:
        _draw_bar(axes, bar, deadline_s, limit_s)
    for event, look in MARKS.items():
        marks = [mark for mark in line.marks if mark.event == event and mark.time_s <= limit_s]
        size = 72 * row_inches * (0.7 if event == BLOCK_LOST else 0.45)
        if not marks:
            continue
        places = [1e3 * mark.time_s for mark in marks], [mark.client for mark in marks]
        axes.plot(*places, linestyle="none", markersize=size, zorder=4, **look)
    axes.axvline(1e3 * deadline_s, zorder=3, **DEADLINE)
    ends_elsewhere = abs(timing.round_s - deadline_s) > (ON_TIME - 1.0) * deadline_s
    if ends_elsewhere and timing.round_s <= limit_s:
        axes.axvline(1e3 * timing.round_s, zorder=3, **ROUND_END)
    _beyond(axes, line, limit_s, row_inches)
    _dress(axes, here, 1e3 * limit_s, row_inches)
    figure.legend(
        handles=_legend(line, deadline_s, ends_elsewhere and timing.round_s <= limit_s),
        loc="outside right upper",
        fontsize="small",
    )
    missed = int((~timing.delivered[here]).sum())
    axes.set_title(
        f"{name}, round {found.seen.round} ({1e3 * timing.round_s:.4g} ms), "
        f"policy {scenario.deadline_policy}: "
        f"{missed} of {clients} miss the deadline of {1e3 * deadline_s:g} ms",
        fontsize="medium",
        loc="left",
    )
    return figure


def _in_rows(line: Timeline, here: list[int]) -> Timeline:
    """The bars and marks of the clients `here`, with rows of the figure in place of clients."""
    row = {client: place for place, client in enumerate(here)}
    return Timeline(
        bars=tuple(replace(bar, client=row[bar.client]) for bar in line.bars if bar.client in row),
        marks=tuple(
            replace(mark, client=row[mark.client]) for mark in line.marks if mark.client in row
        ),
    )


def _draw_bar(axes: Any, bar: Bar, deadline_s: float, limit_s: float) -> None:
    """Draw the bar up to the limit of the figure, hatched after the deadline except for waiting."""
    look = LOOKS[bar.phase]
    end_s = min(bar.end_s, limit_s)
    parts = [(bar.start_s, end_s, look)]
    if bar.phase != WAIT and end_s > deadline_s * ON_TIME:
        split_s = max(bar.start_s, deadline_s)
        parts = [(bar.start_s, split_s, look), (split_s, end_s, {**look, **LATE})]
    for start_s, stop_s, style in parts:
        if stop_s > start_s:
            axes.barh(
                bar.client,
                1e3 * (stop_s - start_s),
                left=1e3 * start_s,
                height=0.8,
                linewidth=0,
                **style,
            )


def _beyond(axes: Any, line: Timeline, limit_s: float, row_inches: float) -> None:
    """Write the finishing times of clients that finish outside the figure."""
    ends_s: dict[int, float] = {}
    for bar in (bar for bar in line.bars if bar.phase != WAIT):
        ends_s[bar.client] = max(bar.end_s, ends_s.get(bar.client, 0.0))
    size = min(8.0, max(3.0, 0.75 * 72 * row_inches))
    for client, end_s in ends_s.items():
        if end_s > limit_s * ON_TIME:
            where = {"xy": (1.005, client), "xycoords": ("axes fraction", "data")}
            axes.annotate(
                f"\N{RIGHTWARDS ARROW} {1e3 * end_s:.0f} ms", va="center", fontsize=size, **where
            )


def _dress(axes: Any, here: list[int], limit_ms: float, row_inches: float) -> None:
    step = math.ceil(0.15 / row_inches)  # labels that would touch are omitted
    axes.set_yticks(range(0, len(here), step), labels=[str(client) for client in here[::step]])
    axes.tick_params(axis="y", labelsize=min(9.0, 0.7 * 72 * step * row_inches), length=2)
    axes.set(
        xlim=(0, 1.01 * limit_ms),
        ylim=(len(here) - 0.4, -0.6),
        xlabel="time since the round began (ms)",
        ylabel="client",
    )
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)


def _legend(line: Timeline, deadline_s: float, with_end: bool) -> list[Any]:
    """One entry for everything in the figure, in the order of the round."""
    shown = {bar.phase for bar in line.bars}
    happened = {mark.event for mark in line.marks}
    handles: list[Any] = [
        Patch(label=LABELS.get(phase, phase), **look)
        for phase, look in LOOKS.items()
        if phase in shown
    ]
    if any(bar.phase != WAIT and bar.end_s > deadline_s * ON_TIME for bar in line.bars):
        handles.append(Patch(label="past the deadline", facecolor="white", **LATE))
    for event, look in MARKS.items():
        if event in happened:
            size = 9 if event == BLOCK_LOST else 7
            handles.append(
                Line2D(
                    [],
                    [],
                    linestyle="none",
                    markersize=size,
                    label=MARK_LABELS.get(event, event),
                    **look,
                )
            )
    handles.append(Line2D([], [], label="deadline", **DEADLINE))
    if with_end:
        handles.append(Line2D([], [], label="end of the round", **ROUND_END))
    return handles
