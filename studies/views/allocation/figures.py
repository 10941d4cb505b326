"""The figure of one round's allocation: band and pruning ratio of every client, one bar per scheme."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from studies.report.curves import COLOURS
from studies.report.output import new_figure
from studies.views.allocation.schemes import Scheme

HATCHES = ("", "//", "..")


def draw_schemes(schemes: Mapping[str, Scheme], scenario: str) -> Any:
    """Two panels of bars, client by client; the dashed line is the cap on the ratio."""
    first = next(iter(schemes.values()))
    clients, width = np.arange(first.experiment.scenario.clients), 0.8 / len(schemes)
    figure = new_figure(9.0, 3.4)
    band, ratio = figure.subplots(1, 2)
    for number, (name, scheme) in enumerate(schemes.items()):
        place = clients + (number - 0.5 * (len(schemes) - 1)) * width
        look = {
            "width": width,
            "color": COLOURS[number % len(COLOURS)],
            "hatch": HATCHES[number // len(COLOURS) % 3],
        }
        band.bar(place, 100 * scheme.planned.allocation.bandwidth_fraction, label=name, **look)
        ratio.bar(place, 100 * scheme.planned.allocation.pruning_ratio, **look)
    cap = first.experiment.max_pruning_ratio
    if cap < 1:
        ratio.axhline(
            100 * cap, color="black", linestyle="--", linewidth=1, label="largest ratio allowed"
        )
    for axes, label in ((band, "share of the band (%)"), (ratio, "pruning ratio (%)")):
        axes.set(xlabel="client", ylabel=label)
        axes.grid(alpha=0.3, axis="y")
        axes.set_axisbelow(True)
        axes.xaxis.get_major_locator().set_params(integer=True)
    ratio.set_ylim(0, 105)
    shown = [*(band.containers if len(schemes) > 1 else ()), *ratio.lines]
    if shown:
        figure.legend(handles=shown, loc="outside lower center", ncols=6, fontsize="small")
    deadline_ms = 1e3 * first.experiment.scenario.deadline_s
    figure.suptitle(
        f"{scenario}, one round, deadline {deadline_ms:g} ms", fontsize="small", color="0.35"
    )
    return figure
