"""[WFL] Fig. 4: loss, accuracy and communication of the four schemes on Fashion-MNIST."""

from typing import Any

from studies.papers.wfl._wfl import (
    EQUAL_PRUNING,
    ONLY_PERSONALISATION,
    PROPOSED,
    PRUNING_ONLY,
    SCHEMES,
    learning_cells,
    over_schemes,
    relative_weights,
)
from studies.report.claims import above, difference_within, within
from studies.report.curves import draw_curves, legend_below, panels
from studies.report.results import Claim, Runs, Table, over_seeds
from wirelessfl.experiment import Experiment

PAPER_SHARE = {PROPOSED: 0.5, ONLY_PERSONALISATION: 1.0}  # "about 50 % less"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """The four schemes under the same channels, partitions and first models."""
    return over_schemes(SCHEMES, scale)


def table(runs: Runs) -> Table:
    """Final loss, accuracy and ratio, weights delivered, and simulated seconds of the run."""
    return Table(
        tuple(
            {
                "scheme": label,
                "paper_weights_share": PAPER_SHARE.get(label),
                "weights_share": relative_weights(seeds, runs[ONLY_PERSONALISATION]),
                "delivered_weights_millions": over_seeds(
                    seeds, lambda run: run.delivered_weights / 1e6
                ),
                **learning_cells(seeds),
                "clock_s": over_seeds(seeds, lambda run: float(run.series("clock_s")[-1])),
            }
            for label, seeds in runs.items()
        )
    )


CLAIMS = (
    Claim(
        "Proposed is more accurate than equal resource pruning",
        above("accuracy", PROPOSED, EQUAL_PRUNING),
    ),
    Claim(
        "Proposed is more accurate than pruning only [14]",
        above("accuracy", PROPOSED, PRUNING_ONLY),
    ),
    Claim(
        "Proposed is about 0.1 more accurate than pruning only [14]",
        difference_within("accuracy", PROPOSED, PRUNING_ONLY, 0.05, 0.15),
    ),
    Claim(
        "Proposed is close to only personalisation in accuracy",
        difference_within("accuracy", PROPOSED, ONLY_PERSONALISATION, -0.02, 0.02),
    ),
    Claim(
        "Proposed sends about half of the weights of only personalisation",
        within("weights_share", PROPOSED, 0.4, 0.6),
        kind="calibrated",
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """(a) loss, (b) accuracy, (c) weights delivered since the first round."""
    axes = panels(figure, 3)
    draw_curves(axes[0], runs, "loss", "(a) loss")
    draw_curves(axes[1], runs, "accuracy", "(b) accuracy")
    draw_curves(axes[2], runs, "delivered_weights", "(c) communication")
    legend_below(figure, axes[0])
