"""[MCE-PL] Fig. 4: three isolated agents learn masks of random weights, or the weights.

Each agent has all images of its three labels. In the paper weights start from U(-1, 1); at small
scale from the usual U(+-1 / sqrt(fan-in)), since in 60 updates from U(-1, 1), where losses begin at
several hundred, neither weights (rates 1e-6 to 0.1) nor masks (0.1 to 100) exceeded 0.36 in pilot
runs, where 0.33 is chance. Fully connected layers keep r as well; in the official code they keep 90
%.

At small scale masks that keep 0.3 and 0.5 end 0.04 and 0.06 below weights after 60 updates, all
still rising, a mask that keeps 0.1 learns little, and the accuracy of weights varies more than that
of masks: no claim holds.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from studies.papers.mce_pl._mce_pl import LAST_EVALUATIONS, planned
from studies.report.claims import Check, averaged, compare
from studies.report.curves import draw_curves, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Table, Verdict, over_seeds
from studies.report.summaries import accuracy_columns, evaluations
from wirelessfl.experiment import Experiment

WEIGHTS = "weights"
KEEP_RATIOS = (0.1, 0.3, 0.5)
AS_WELL = 0.03  # of accuracy
STARTS: Mapping[str, str] = {"small": "fan-in", "paper": "unit-uniform"}
# Of weights and of masks: small as elsewhere. The paper has 0.01 and 1; from U(-1, 1) weights
# diverge from 1e-3 on.
RATES: Mapping[str, tuple[float, float]] = {"small": (0.1, 100.0), "paper": (1e-5, 1.0)}


def label_of(keep_ratio: float) -> str:
    """The row of a mask."""
    return f"mask, r = {keep_ratio:g}"


MASKED = tuple(label_of(keep) for keep in KEEP_RATIOS)


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Weights, and masks with three retention ratios, evaluated every three updates."""
    of_weights, of_masks = RATES[scale]
    # With balanced choice no two agents have the same label.
    shared = {"weight_init": STARTS[scale], "label_choice": "balanced"}
    weights = {
        **shared,
        "algorithm": "ind-weipru",
        "keep_ratio": 1.0,
        "learning_rate": of_weights,
    }
    masks = {**shared, "algorithm": "ind-mask", "learning_rate": of_masks}
    changes: dict[str, Any] = {"scenario": {"clients": 3}, "run": {"eval_every": 3}}
    return {WEIGHTS: planned(scale, 3, weights, changes)} | {
        label_of(keep): planned(scale, 3, {**masks, "keep_ratio": keep}, changes)
        for keep in KEEP_RATIOS
    }


def table(runs: Runs) -> Table:
    """Accuracy (last evaluations, and best), and its mean change between evaluations."""
    return Table(
        tuple(
            {
                "learnt": label,
                **accuracy_columns(seeds, LAST_EVALUATIONS),
                "swing": over_seeds(seeds, _swing),
            }
            for label, seeds in runs.items()
        )
    )


def _swing(run: Run) -> float:
    """Mean absolute change of accuracy between evaluations of the second half of the run."""
    accuracy = evaluations(run)
    return float(np.abs(np.diff(accuracy[(len(accuracy) - 1) // 2 :])).mean())


def _as_good(keep: float) -> Check:
    def check(table: Table) -> Verdict:
        gap = table.sample(label_of(keep), "accuracy") - table.sample(WEIGHTS, "accuracy")
        return Verdict.of(
            [gap.scaled(1.0, AS_WELL)],
            f"mask minus weights {gap}, at least {-AS_WELL:g} expected",
        )

    return check


def _swings_more(table: Table) -> Verdict:
    return compare(averaged(table, "swing", MASKED), table.sample(WEIGHTS, "swing"))


CLAIMS = (
    *(
        Claim(
            f"A mask that keeps {keep:g} is as accurate as trained weights to {AS_WELL:g}",
            _as_good(keep),
        )
        for keep in KEEP_RATIOS
    ),
    Claim("The accuracy of masks swings more than that of weights", _swings_more),
)


def figure(runs: Runs, figure: Any) -> None:
    """Accuracy over updates."""
    (panel,) = panels(figure, 1)
    draw_curves(panel, runs, "accuracy", "three agents, no communication")
    panel.set_xlabel("update")
    figure.set_size_inches(5.2, 4.0)
    legend_below(figure, panel)
