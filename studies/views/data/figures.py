"""The figure of a partition: samples of each client, and their labels."""

from typing import Any

import numpy as np

from studies.report.curves import COLOURS
from studies.report.output import new_figure
from studies.views.data.partition import PartitionView

NAMED = 30  # largest number of labels or clients that are all numbered on an axis


def draw_partition(view: PartitionView) -> Any:
    """Draw the clients' samples as bars, and samples by label and client as bubbles.

    Args:
        view: The partition.

    Returns:
        A matplotlib figure.
    """
    clients, classes = view.counts.shape
    width = float(np.clip(2.0 + 0.35 * clients, 6.0, 14.0))
    height = float(np.clip(0.3 * classes, 1.5, 8.0))
    if not view.labelled:
        figure = new_figure(width, 3.5)
        _draw_sizes(figure.subplots(), view)
    else:
        figure = new_figure(width, 2.2 + height)
        bars, bubbles = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, height))
        _draw_sizes(bars, view)
        bars.set_xlabel("")
        _draw_bubbles(bubbles, view, cell=72.0 * min(0.9 * width / clients, height / classes))
    total = f"{clients} clients, {view.samples.sum():,} samples, seed {view.seed}"
    figure.suptitle(f"{view.dataset}, {view.partition}: {total}", fontsize="medium")
    return figure


def _draw_sizes(axes: Any, view: PartitionView) -> None:
    axes.bar(np.arange(len(view.samples)), view.samples, width=0.8, color=COLOURS[0])
    axes.set(ylabel="samples", xlabel="client", xlim=(-0.6, len(view.samples) - 0.4))
    axes.grid(alpha=0.3, axis="y")
    axes.set_axisbelow(True)
    _whole_numbers(axes.xaxis, len(view.samples))


def _draw_bubbles(axes: Any, view: PartitionView, *, cell: float) -> None:
    """The largest bubble nearly fills its cell, which is `cell` points wide."""
    client, label = np.nonzero(view.counts)
    held = view.counts[client, label]
    area = (0.85 * cell) ** 2 * held / held.max()
    axes.scatter(client, label, s=np.maximum(area, 0.2), color=COLOURS[1], linewidths=0)
    classes = view.counts.shape[1]
    axes.set(xlabel="client", ylabel="label", ylim=(-0.6, classes - 0.4))
    axes.set_title(f"area: samples of a label, the largest {held.max():,}", fontsize="small")
    axes.grid(alpha=0.2)
    axes.set_axisbelow(True)
    _whole_numbers(axes.yaxis, classes)
    _whole_numbers(axes.xaxis, len(view.samples))


def _whole_numbers(axis: Any, count: int) -> None:
    """Whole numbers on an axis, all of them if they are few."""
    if count <= NAMED:
        axis.set_ticks(np.arange(count))
    else:
        axis.get_major_locator().set_params(integer=True)
