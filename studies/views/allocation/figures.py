"""The figure of one round's allocation: band and pruning ratio of every client and scheme."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from optimizers import measures
from studies.report.curves import COLOURS
from studies.report.output import new_figure
from studies.views.allocation.schemes import Scheme

HATCHES = ("", "//", "..")


def unserved(scheme: Scheme) -> str:
    """The numbers of late, infeasible and left-out clients as a phrase; '' where there is none."""
    counted = measures(scheme.planned.allocation)
    return ", ".join(
        f"{counted[name]:g} {name.replace('_', ' ')}"
        for name in ("late", "infeasible", "left_out")
        if counted[name] > 0
    )


def draw_schemes(schemes: Mapping[str, Scheme], scenario: str) -> Any:
    """Draw two panels of bars, client by client; a dashed line marks the largest ratio allowed.

    Args:
        schemes: Name -> the plan of one allocator.
        scenario: Name of the scenario, for the title.

    Returns:
        A matplotlib figure.
    """
    first = next(iter(schemes.values()))
    clients = np.arange(first.clients.size)
    everyone = first.clients.size == first.experiment.scenario.clients
    width = 0.8 / len(schemes)
    figure = new_figure(9.0, 3.4)
    band, ratio = figure.subplots(1, 2)
    for number, (name, scheme) in enumerate(schemes.items()):
        place = clients + (number - 0.5 * (len(schemes) - 1)) * width
        look = {
            "width": width,
            "color": COLOURS[number % len(COLOURS)],
            "hatch": HATCHES[number // len(COLOURS) % 3],
        }
        label = ": ".join(text for text in (name, unserved(scheme)) if text)
        band.bar(place, 100 * scheme.planned.allocation.bandwidth_fraction, label=label, **look)
        ratio.bar(place, 100 * scheme.planned.allocation.pruning_ratio, **look)
    cap = first.experiment.max_pruning_ratio
    if cap < 1:
        ratio.axhline(
            100 * cap, color="black", linestyle="--", linewidth=1, label="largest ratio allowed"
        )
    for axes, label in ((band, "share of the band (%)"), (ratio, "pruning ratio (%)")):
        axes.set(xlabel="client" if everyone else "participant", ylabel=label)
        axes.grid(alpha=0.3, axis="y")
        axes.set_axisbelow(True)
    ratio.set_ylim(0, 105)
    compared = len(schemes) > 1 or unserved(first)
    shown = [*(band.containers if compared else ()), *ratio.lines]
    if shown:
        columns = 6 if max(len(handle.get_label()) for handle in shown) < 25 else 3
        figure.legend(handles=shown, loc="outside lower center", ncols=columns, fontsize="small")
    deadline_ms = 1e3 * first.experiment.scenario.deadline_s
    figure.suptitle(
        f"{scenario}, one round, deadline {deadline_ms:g} ms", fontsize="small", color="0.35"
    )
    return figure
