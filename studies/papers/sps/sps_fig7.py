"""[SPS] Fig. 7 on BlogFeedback: norm of the sum of the control variates, and their mean norm.

The paper draws it for logistic regression by writer, as `sps-fig6` does in panel (c).
"Sparse-ProxSkip-modified" prunes the average and not the input of [SPS] Algorithm 1, line 12: taken
as printed it would prune nothing ([SPS] erratum S15).
"""

from typing import Any

import numpy as np

from studies.papers.sps._sps import ASP, CLIENTS, SCALES
from studies.papers.sps._sps_control import KEEPING, MODIFIED, control, draw, experiments
from studies.report.claims import Check
from studies.report.curves import panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Table, Verdict, over_seeds

__all__ = ["CLAIMS", "SCALES", "experiments", "figure", "table"]

ROUNDING = 1e-9  # of the sum of the clients' norms


def _largest(run: Run, name: str) -> float:
    return float(control(run, name).max())


def table(runs: Runs) -> Table:
    """Largest norm of the sum, largest mean norm, and largest ratio of the two in a round."""
    return Table(
        tuple(
            {
                "method": label,
                "sum": over_seeds(seeds, lambda run: _largest(run, "sum_control")),
                "mean": over_seeds(seeds, lambda run: _largest(run, "mean_control")),
                "sum_by_mean": over_seeds(
                    seeds,
                    lambda run: float(
                        np.max(control(run, "sum_control") / control(run, "mean_control"))
                    ),
                ),
            }
            for label, seeds in runs.items()
        )
    )


def _zero(name: str) -> Check:
    def check(table: Table) -> Verdict:
        ratio = table.sample(name, "sum_by_mean")
        return Verdict(
            max(ratio.values) < ROUNDING * CLIENTS,
            f"norm of the sum by mean norm: {ratio.mean:.2g}",
        )

    return check


def _larger(name: str) -> Check:
    def check(table: Table) -> Verdict:
        ratio = table.sample(name, "sum_by_mean")
        return Verdict.of([ratio.scaled(1.0, -1.0)], f"norm of the sum by mean norm: {ratio}")

    return check


CLAIMS = (
    *(
        Claim(f"{name} keeps the sum at 0, within rounding", _zero(name), kind="by construction")
        for name in KEEPING
    ),
    Claim(f"With {ASP} the sum is larger than the mean norm", _larger(ASP)),
    Claim(f"With {MODIFIED} too", _larger(MODIFIED)),
)


def figure(runs: Runs, figure: Any) -> None:
    """Norm of the sum and mean norm over rounds."""
    axes = panels(figure, 2)
    draw(axes[0], runs, "sum_control", "norm of the sum of h")
    draw(axes[1], runs, "mean_control", "mean norm of h")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, fontsize="small", title="first seed"
    )
