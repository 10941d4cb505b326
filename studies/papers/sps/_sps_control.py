"""The methods of [SPS] Fig. 7 and Fig. 8.

Two keep the sum of the control variates at 0, two do not.
"""

from typing import Any

from studies.papers.sps._sps import ASP, AT, SPARSE_PROXSKIP, fixed
from studies.report.curves import COLOURS, LINES, Array
from studies.report.isolated import points
from studies.report.one_run.run import Run
from studies.report.results import Runs
from wirelessfl.experiment import Experiment

ASP_MODIFIED = f"{ASP}-modified"
MODIFIED = f"{SPARSE_PROXSKIP}-modified"
KEEPING = (SPARSE_PROXSKIP, ASP_MODIFIED)
VIOLATING = (ASP, MODIFIED)
ALGORITHMS = {
    SPARSE_PROXSKIP: "sparse-proxskip",
    ASP_MODIFIED: "accelerated-server-pruning-modified",
    ASP: "accelerated-server-pruning",
    MODIFIED: "sparse-proxskip-modified",
}
# The rate is 1.8 / L_max; neither is searched, so that all methods take the same steps.
STEP = {"learning_rate": 7e-5, "probability": 0.01}


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """The four methods of Appendix D at 90 %, on BlogFeedback, under the same settings."""
    return {label: fixed(scale, name, sparsity=AT, **STEP) for label, name in ALGORITHMS.items()}


def control(run: Run, name: str) -> Array:
    """A quantity that methods with control variates record, (rounds,), such as `sum_control`."""
    values: Array = run.series(f"extra.{name}")
    return values


def draw(axes: Any, runs: Runs, name: str, axis: str) -> None:
    """Draw the first seed's curve of each method on a logarithmic axis.

    Rounds of other seeds have other lengths, so seeds are not averaged.

    Args:
        axes: Matplotlib axes.
        runs: Label -> one run per seed.
        name: The recorded quantity.
        axis: The label of the vertical axis.
    """
    for index, (label, seeds) in enumerate(runs.items()):
        values = control(seeds[0], name)
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=COLOURS[index],
            linestyle=LINES[index],
            label=label,
            **points(values),
        )
    axes.set(xlabel="round", ylabel=axis, yscale="log")
    axes.grid(alpha=0.3)
