"""[CA-HFP] Fig. 3: accuracy over the rounds of four schemes, half of the filters pruned."""

from typing import Any

from studies.papers.ca_hfp._ca_hfp import (
    CA_HFP,
    FIGURES,
    PRUNING,
    THREE_SEEDS,
    costs,
    planned,
    scheme,
)
from studies.report.claims import Check, highest, lowest
from studies.report.curves import draw_curves, legend_below, panels
from studies.report.results import Claim, Runs, Table
from studies.report.summaries import accuracy_columns, common_accuracy, until_accuracy
from wirelessfl.experiment import Experiment

ALPHAS = (1.0, 10.0)
RATIO = 0.5


def label_of(alpha: float, name: str) -> str:
    """A row of the table."""
    return f"alpha {alpha:g}: {name}"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """The runs of Table I in the setting of the figures.

    At small scale this is the CNN on Fashion-MNIST, else VGG16 on CIFAR-10.
    """
    setting = FIGURES[scale]
    return {
        label_of(alpha, name): planned(setting, alpha, scheme(name, setting, RATIO), THREE_SEEDS)
        for alpha in ALPHAS
        for name in PRUNING
    }


def table(runs: Runs) -> Table:
    """Accuracy, rounds until the accuracy that all schemes of an alpha reach, and costs."""
    rows = {}
    for alpha in ALPHAS:
        shown = {
            label: seeds
            for label, seeds in runs.items()
            if label.startswith(f"{label_of(alpha, '')}")
        }
        targets = common_accuracy(shown.values())
        for label, seeds in shown.items():
            rows[label] = {
                **accuracy_columns(seeds),
                "rounds_to_common_accuracy": until_accuracy(seeds, targets),
                **costs(seeds),
            }
    return Table(tuple({"alpha: scheme": label, **rows[label]} for label in runs))


def _highest(alpha: float) -> Check:
    others = [label_of(alpha, name) for name in PRUNING if name != CA_HFP]
    return lambda table: highest(table, "accuracy", label_of(alpha, CA_HFP), others)


def _fastest(alpha: float) -> Check:
    others = [label_of(alpha, name) for name in PRUNING if name != CA_HFP]
    return lambda table: lowest(table, "rounds_to_common_accuracy", label_of(alpha, CA_HFP), others)


CLAIMS = (
    *(
        Claim(
            f"With alpha {alpha:g}, CA-HFP ends highest of the schemes that prune", _highest(alpha)
        )
        for alpha in ALPHAS
    ),
    *(
        Claim(
            f"With alpha {alpha:g}, CA-HFP is the first at the accuracy that all reach",
            _fastest(alpha),
        )
        for alpha in ALPHAS
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Accuracy over rounds, one panel per alpha."""
    axes = panels(figure, len(ALPHAS))
    for panel, alpha, letter in zip(axes, ALPHAS, "ab", strict=True):
        shown = {name: runs[label_of(alpha, name)] for name in PRUNING}
        draw_curves(panel, shown, "accuracy", f"({letter}) Dirichlet's alpha {alpha:g}")
    legend_below(figure, axes[0])
