"""[MCE-PL] Fig. 6: accuracy over iterations under different retention ratios.

At small scale MCE-PL, ind-mask and ind-weipru end within chance of each other, with MCE-PL first.
The claim that ind-mask is slower at first than ind-weipru does not hold: masks learn at a rate of
100 here, the best one for 60 iterations. avr-weipru learns nothing in this time, which makes it the
lowest and the smoothest.
"""

from typing import Any

import numpy as np

from studies.papers.mce_pl._mce_pl import (
    AVR_WEIPRU,
    FIGURE_LABELS,
    IND_MASK,
    IND_WEIPRU,
    LAST_EVALUATIONS,
    MCE_PL,
    PAR_WEIPRU,
    heterogeneous,
    planned,
)
from studies.report.claims import above, highest, lowest
from studies.report.curves import draw_curves, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Table, over_seeds
from studies.report.summaries import accuracy_columns, evaluations
from wirelessfl.experiment import Experiment

SHOWN = (MCE_PL, IND_MASK, IND_WEIPRU, AVR_WEIPRU, PAR_WEIPRU)
EARLY = 1 / 3  # of the evaluations


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """The schemes of Table II without Dis-PFL."""
    return {
        name: planned(scale, FIGURE_LABELS[scale], heterogeneous(scale, name)) for name in SHOWN
    }


def early(run: Run) -> float:
    """Mean accuracy of the first third of the evaluations."""
    found = evaluations(run)
    return float(found[: max(round(EARLY * len(found)), 1)].mean())


def roughness(run: Run) -> float:
    """Distance of an evaluation from the midpoint of its neighbours, mean over evaluations."""
    found = evaluations(run)
    bends = np.abs(found[1:-1] - 0.5 * (found[:-2] + found[2:]))
    return float(bends.mean()) if len(bends) else 0.0


def table(runs: Runs) -> Table:
    """Accuracy (last evaluations, and best), early accuracy, and the roughness of the curve."""
    return Table(
        tuple(
            {
                "scheme": name,
                **accuracy_columns(seeds, LAST_EVALUATIONS),
                "early_accuracy": over_seeds(seeds, early),
                "roughness": over_seeds(seeds, roughness),
            }
            for name, seeds in runs.items()
        )
    )


def _others(name: str) -> list[str]:
    return [other for other in SHOWN if other != name]


CLAIMS = (
    Claim("MCE-PL ends highest", lambda table: highest(table, "accuracy", MCE_PL, _others(MCE_PL))),
    Claim(
        "MCE-PL is the fastest at first",
        lambda table: highest(table, "early_accuracy", MCE_PL, _others(MCE_PL)),
    ),
    Claim(
        "ind-mask is slower than ind-weipru at first", above("early_accuracy", IND_WEIPRU, IND_MASK)
    ),
    Claim("ind-mask ends above ind-weipru", above("accuracy", IND_MASK, IND_WEIPRU)),
    Claim(
        "avr-weipru ends lowest",
        lambda table: lowest(table, "accuracy", AVR_WEIPRU, _others(AVR_WEIPRU)),
    ),
    Claim(
        "avr-weipru has the smoothest curve",
        lambda table: lowest(table, "roughness", AVR_WEIPRU, _others(AVR_WEIPRU)),
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Accuracy over iterations."""
    (axes,) = panels(figure, 1)
    figure.set_size_inches(6.8, 4.2)
    draw_curves(axes, runs, "accuracy", "shares of Section V-C")
    axes.set_xlabel("iteration")
    legend_below(figure, axes)
