"""Figure of the best deadline: both roads, with intervals over seeds."""

from typing import Any

import numpy as np

from studies.deadline.best import BestDeadline
from studies.report.curves import COLOURS, LINES
from studies.report.output import new_figure
from wirelessfl.values import Array

LABELS = {"power": "power law", "bound": "form of the bound"}


def draw_best(found: BestDeadline, title: str) -> Any:
    """Draw (a) rounds needed over the kept model and (b) the result over the deadline.

    Args:
        found: The result.
        title: The title.

    Returns:
        A matplotlib figure; bands and bars are 95 % intervals over seeds.
    """
    figure = new_figure(10.5, 4.0)
    figure.suptitle(title, fontsize="small", color="0.35")
    left, right = figure.subplots(1, 2)
    draw_laws(left, found)
    draw_times(right, found)
    return figure


def draw_laws(axes: Any, found: BestDeadline) -> None:
    """Draw the rounds that short runs needed, and the laws fitted to them.

    Args:
        axes: Axes of matplotlib.
        found: The result.
    """
    kept, rounds = (np.concatenate(parts) for parts in zip(*found.needed, strict=True))
    axes.plot(100 * kept, rounds, "o", color="0.3", markersize=4, label="short runs")
    places = np.linspace(kept.min(), kept.max(), 200)
    for index, (name, one) in enumerate(found.models.items()):
        axes.plot(100 * places, one.law.rounds(places), label=LABELS[name], **_look(index))
    axes.set(
        xlabel="kept model (%)",
        ylabel="rounds",
        title=f"(a) rounds to accuracy {found.level:.3g}",
        ylim=(0, None),
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", frameon=False)


def draw_times(axes: Any, found: BestDeadline) -> None:
    """Draw time to accuracy over the deadline: both laws, and the trained deadlines.

    A deadline whose runs ended before all seeds reached the accuracy is an arrow at the time that
    they were given. Without a target, accuracies have an axis of their own.

    Args:
        axes: Axes of matplotlib.
        found: The result.
    """
    scan = next(iter(found.models.values())).scan
    deadlines_s = scan.deadlines_s
    for index, (name, one) in enumerate(found.models.items()):
        seconds, margin = one.seconds(deadlines_s)
        usable = np.isfinite(seconds)
        look = _look(index)
        label = f"{LABELS[name]}, to {found.level:.3g}"
        axes.plot(1e3 * deadlines_s[usable], seconds[usable], label=label, **look)
        banded = usable & np.isfinite(margin)
        axes.fill_between(
            1e3 * deadlines_s[banded],
            np.maximum(seconds - margin, 0.0)[banded],
            (seconds + margin)[banded],
            color=look["color"],
            alpha=0.15,
            linewidth=0,
        )
        axes.axvline(1e3 * one.best_s, linewidth=0.8, **look)
    trained = axes if found.target is not None else axes.twinx()
    _draw_trained(trained, found)
    _label_deadlines(axes, 1e3 * deadlines_s)
    axes.set(
        ylabel="simulated time to accuracy (s)",
        title="(b) model and training; vertical lines: best by model",
        ylim=(0, None),
    )
    axes.grid(alpha=0.3)
    lines, labels = axes.get_legend_handles_labels()
    if trained is not axes:
        further = trained.get_legend_handles_labels()
        lines, labels = lines + further[0], labels + further[1]
    axes.legend(lines, labels, fontsize="small", frameon=False)


def _draw_trained(axes: Any, found: BestDeadline) -> None:
    colour = COLOURS[len(found.models)]
    look = {"color": colour, "linestyle": "none", "markersize": 5, "capsize": 3}
    if found.target is None:
        for one in found.trained:
            last = one.rung == found.best.rung
            axes.errorbar(
                1e3 * one.deadline_s,
                100 * one.accuracy.mean,
                yerr=100 * one.accuracy.margin if len(one.accuracy.values) > 1 else None,
                marker="o" if last else "v",
                mfc=colour if last else "white",
                label="trained, to the end" if one is found.best else None,
                **look,
            )
        axes.set(ylabel="accuracy of training (%)", ylim=(0, 100))
        axes.plot([], [], "v", color=colour, mfc="white", markersize=5, label="trained, out early")
        return
    for one in found.trained:
        timed = one.time
        several = timed is not None and len(timed.values) > 1
        axes.errorbar(
            1e3 * one.deadline_s,
            one.seconds if timed is None else timed.mean,
            yerr=timed.margin if timed is not None and several else None,
            marker="^" if timed is None else "o",
            mfc="white" if timed is None else colour,
            label=f"trained, to {found.target:g}" if one is found.best else None,
            **look,
        )
    if any(one.time is None for one in found.trained):
        label = f"trained, not at {found.target:g} by then"
        axes.plot([], [], "^", color=colour, mfc="white", markersize=5, label=label)


def _label_deadlines(axes: Any, values: Array) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    axes.set_xscale("log")
    ticks = np.geomspace(values[0], values[-1], 6)
    axes.xaxis.set_major_locator(FixedLocator([float(f"{tick:.2g}") for tick in ticks]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("deadline (ms)")


def _look(index: int) -> dict[str, Any]:
    return {"color": COLOURS[index], "linestyle": LINES[index]}
