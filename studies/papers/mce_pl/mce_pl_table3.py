"""[MCE-PL] Table III: accuracy of MCE-PL and traffic of an iteration on four topologies.

At small scale all claims hold; a ring sends a third of the traffic of a graph with p = 0.7.
"""

from itertools import permutations
from typing import Any

import numpy as np

from studies.papers.mce_pl._mce_pl import (
    FIGURE_LABELS,
    LAST_EVALUATIONS,
    MCE_PL,
    costs,
    heterogeneous,
    planned,
)
from studies.report.claims import above
from studies.report.curves import draw_curves, legend_below, panels
from studies.report.results import Claim, Runs, Table, Verdict
from studies.report.summaries import accuracy_columns
from wirelessfl.experiment import Experiment

RING = "ring"
PAPER = {RING: 0.6394, "p = 0.3": 0.6489, "p = 0.5": 0.6451, "p = 0.7": 0.6476}  # four labels
GRAPHS: dict[str, dict[str, Any]] = {
    RING: {"graph": "ring"},
    "p = 0.3": {"edge_probability": 0.3},
    "p = 0.5": {},  # as everywhere else
    "p = 0.7": {"edge_probability": 0.7},
}
SPREAD = 0.01


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """MCE-PL with the ratios of Section V-C on every topology.

    With p = 0.5 it is the run of Table II.
    """
    own = heterogeneous(scale, MCE_PL)
    return {
        label: planned(scale, FIGURE_LABELS[scale], {**own, **graph})
        for label, graph in GRAPHS.items()
    }


def table(runs: Runs) -> Table:
    """Accuracy (last evaluations, and best) and traffic."""
    return Table(
        tuple(
            {
                "topology": label,
                "paper_accuracy_20_agents": PAPER[label],
                **accuracy_columns(seeds, LAST_EVALUATIONS),
                **costs(seeds),
            }
            for label, seeds in runs.items()
        )
    )


def _insensitive(table: Table) -> Verdict:
    samples = {label: table.sample(label, "accuracy") for label in GRAPHS}
    means = [sample.mean for sample in samples.values()]
    spread = float(np.ptp(means))
    figures = ", ".join(f"{label}: {sample}" for label, sample in samples.items())
    margins = [
        (one - other).scaled(-1.0, SPREAD) for one, other in permutations(samples.values(), 2)
    ]
    return Verdict.of(margins, f"spread {spread:.4g}; {figures}")


CLAIMS = (
    Claim("Accuracy on four topologies differs by less than a point", _insensitive),
    Claim(
        "A ring sends less than a graph with p = 0.7",
        above("unicast_mb", "p = 0.7", RING),
        kind="arithmetic",
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Accuracy over iterations on every topology."""
    (axes,) = panels(figure, 1)
    figure.set_size_inches(5.0, 4.0)
    draw_curves(axes, runs, "accuracy", "MCE-PL by topology")
    axes.set_xlabel("iteration")
    legend_below(figure, axes)
