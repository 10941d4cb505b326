"""[WFL] Fig. 3: alternating (FedAlt) against simultaneous (FedSim) updates of the parts."""

from typing import Any

from studies.papers.wfl._wfl import learning_cells, over_schemes
from studies.report.claims import TEN_CLASSES, Check, above, beyond_chance
from studies.report.curves import draw_curves, legend_below, panels
from studies.report.results import Claim, Runs, Table
from wirelessfl.config.scenario_file import Tables
from wirelessfl.experiment import Experiment

FEDALT = "FedAlt"
EQUAL_UPDATES = "FedSim, 5 steps"
EQUAL_GRADIENTS = "FedSim, 10 steps"

# FedAlt's 5 + 5 steps update every weight 5 times and evaluate 10 gradients; FedSim can match one
# of the two. With 10 steps its updates cost twice the cycles in [WFL] eq. (11)-(17), so the
# same threshold leaves it fewer weights.
SCHEMES: dict[str, Tables] = {
    FEDALT: {},
    EQUAL_UPDATES: {"training": {"algorithm": "fedsim", "local_steps": 5}},
    EQUAL_GRADIENTS: {"training": {"algorithm": "fedsim", "local_steps": 10}},
}


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Both updates as part of the proposed scheme, on Fashion-MNIST."""
    return over_schemes(SCHEMES, scale)


def table(runs: Runs) -> Table:
    """Final training loss, test accuracy and mean ratio; the paper prints only curves."""
    return Table(
        tuple(
            {"updates": label, "paper": None, **learning_cells(seeds)}
            for label, seeds in runs.items()
        )
    )


def _above(higher: str, lower: str) -> Check:
    check = above("accuracy", higher, lower)
    return beyond_chance(check, "accuracy", (higher, lower), TEN_CLASSES)


CLAIMS = (
    Claim(
        "FedAlt is more accurate than FedSim with as many updates per weight",
        _above(FEDALT, EQUAL_UPDATES),
    ),
    Claim(
        "FedAlt is more accurate than FedSim with as many gradients",
        _above(FEDALT, EQUAL_GRADIENTS),
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Loss and accuracy over the rounds."""
    loss_axes, accuracy_axes = panels(figure, 2)
    draw_curves(loss_axes, runs, "loss", "(a) loss")
    draw_curves(accuracy_axes, runs, "accuracy", "(b) accuracy")
    legend_below(figure, loss_axes)
