"""What [SPS] Fig. 7 and Fig. 8 share: methods that keep the sum of the control variates at 0, and
methods that do not.
"""

from typing import Any

from studies.papers.sps._sps import ASP, AT, SPARSE_PROXSKIP, fixed
from studies.report.curves import COLOURS, LINES, Array
from studies.report.results import Run, Runs
from wirelessfl.experiment import Experiment

ASP_MODIFIED, MODIFIED = f"{ASP}-modified", f"{SPARSE_PROXSKIP}-modified"
KEEPING, VIOLATING = (SPARSE_PROXSKIP, ASP_MODIFIED), (ASP, MODIFIED)
ALGORITHMS = {
    SPARSE_PROXSKIP: "sparse-proxskip",
    ASP_MODIFIED: "accelerated-server-pruning-modified",
    ASP: "accelerated-server-pruning",
    MODIFIED: "sparse-proxskip-modified",
}
STEP = {
    "learning_rate": 7e-5,
    "probability": 0.01,
}  # 1.8 / L_max; not searched: all take the same steps


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """The four methods of Appendix D at 90 %, on BlogFeedback, under the same settings."""
    return {label: fixed(scale, name, sparsity=AT, **STEP) for label, name in ALGORITHMS.items()}


def control(run: Run, name: str) -> Array:
    """A quantity of every round that methods with control variates record: `sum_control`, `norm`,
    ...
    """
    values: Array = run.series(f"extra.{name}")
    return values


def draw(axes: Any, runs: Runs, name: str, axis: str) -> None:
    """The first seed's curve of each method, on a logarithmic axis: rounds of other seeds have
    other lengths.
    """
    for index, (label, seeds) in enumerate(runs.items()):
        values = control(seeds[0], name)
        axes.plot(
            range(1, len(values) + 1),
            values,
            color=COLOURS[index],
            linestyle=LINES[index],
            label=label,
        )
    axes.set(xlabel="round", ylabel=axis, yscale="log")
    axes.grid(alpha=0.3)
