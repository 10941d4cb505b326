"""[SPS] Fig. 2: R^2 and training loss over the upload, BlogFeedback at 90 %, runs of Table 2."""

from typing import Any

import numpy as np

from studies.papers.sps._sps import (
    AT,
    BASELINES,
    CLIENTS,
    PROPOSED,
    SCALES,
    label_of,
    r2_columns,
    upload_mbits,
)
from studies.papers.sps.sps_table2 import experiments, searches
from studies.report.claims import Check, highest, lowest
from studies.report.curves import COLOURS, LINES, Array, SeedCurve, panels
from studies.report.isolated import points
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Table, over_seeds

__all__ = ["CLAIMS", "SCALES", "experiments", "figure", "searches", "table"]


def table(runs: Runs) -> Table:
    """R^2 and loss at the total upload of the cheapest run, and at the end."""
    cheapest = min(float(upload_mbits(run)[-1]) for seeds in runs.values() for run in seeds)
    return Table(
        tuple(
            {
                "method": label,
                "at_mbits": cheapest,
                "r2_there": over_seeds(seeds, lambda run: at(run, "accuracy", cheapest)),
                "train_loss_there": over_seeds(
                    seeds, lambda run: at(run, "loss", cheapest) * CLIENTS
                ),
                **r2_columns(seeds),
            }
            for label, seeds in runs.items()
        )
    )


def at(run: Run, field: str, mbits: float) -> float:
    """The last value measured before the upload exceeds a limit.

    Args:
        run: A complete run.
        field: A field of its records.
        mbits: The limit on a client's upload, in million bits.

    Returns:
        That value, or the first measured one if the limit is exceeded before.
    """
    values = run.series(field)
    sent = upload_mbits(run)
    measured = np.flatnonzero(~np.isnan(values))
    before = measured[sent[measured] <= mbits * (1 + 1e-9)]
    return float(values[before[-1] if before.size else measured[0]])


def _above(name: str) -> Check:
    others = [label_of(baseline, AT) for baseline in BASELINES]
    return lambda table: highest(table, "r2_there", label_of(name, AT), others)


def _below(name: str) -> Check:
    others = [label_of(baseline, AT) for baseline in BASELINES]
    return lambda table: lowest(table, "train_loss_there", label_of(name, AT), others)


CLAIMS = (
    *(
        Claim(f"{name} has the highest R^2 of what is uploaded, but for its variant", _above(name))
        for name in PROPOSED
    ),
    *(
        Claim(f"{name} has the lowest loss of what is uploaded, but for its variant", _below(name))
        for name in PROPOSED
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """R^2 and loss over the upload, one line per method, with bands of one standard error."""
    axes = panels(figure, 2)
    for panel, quantity, name, scale in zip(
        axes,
        ("accuracy", "loss"),
        ("test R²", "training loss (1e7)"),
        (1.0, CLIENTS / 1e7),
        strict=True,
    ):
        for index, (label, seeds) in enumerate(runs.items()):
            curve = SeedCurve.of(seeds, quantity)
            mean, error = scale * curve.mean, scale * curve.standard_error
            colour, line = COLOURS[index % len(COLOURS)], LINES[index % len(LINES)]
            width = 2.4 if index >= len(BASELINES) else 1.4
            sent = _sent(seeds, curve)
            panel.plot(
                sent,
                mean,
                color=colour,
                linestyle=line,
                linewidth=width,
                label=label.partition(",")[0],
                **points(mean),
            )
            panel.fill_between(
                sent, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0
            )
        panel.set(xscale="log", xlabel="uploaded (million bits a client)", ylabel=name)
        panel.grid(alpha=0.3)
    axes[0].set_ylim(bottom=0.0)
    figure.set_size_inches(8.4, 4.0)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")


def _sent(runs: list[Run], curve: SeedCurve) -> Array:
    """Million bits uploaded at the rounds of a curve, mean over seeds."""
    sent: Array = np.mean([upload_mbits(run)[curve.round - 1] for run in runs], axis=0)
    return sent
