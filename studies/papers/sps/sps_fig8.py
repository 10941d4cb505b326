"""[SPS] Fig. 8 on BlogFeedback: norms of model and mean local gradient, training loss.

The runs are those of `sps-fig7`; the paper draws it for logistic regression by writer. It is proven
that with a sum other than 0 the optimum is no fixed point; that such runs diverge is observed
([SPS] erratum S16).
"""

from typing import Any

from studies.papers.sps._sps import CLIENTS, SCALES, SPARSE_PROXSKIP
from studies.papers.sps._sps_control import (
    ASP_MODIFIED,
    KEEPING,
    VIOLATING,
    control,
    draw,
    experiments,
)
from studies.report.claims import Check, highest
from studies.report.curves import panels
from studies.report.results import Claim, Runs, Table, Verdict, over_seeds

__all__ = ["CLAIMS", "SCALES", "experiments", "figure", "table"]

AGREE = 0.1  # of the norm


def table(runs: Runs) -> Table:
    """Final norms of model and gradient, training loss and R^2; largest norm of the model."""
    return Table(
        tuple(
            {
                "method": label,
                "norm": over_seeds(seeds, lambda run: float(control(run, "norm")[-1])),
                "largest_norm": over_seeds(seeds, lambda run: float(control(run, "norm").max())),
                "gradient": over_seeds(seeds, lambda run: float(control(run, "gradient")[-1])),
                "train_loss": over_seeds(
                    seeds, lambda run: float(run.series("loss")[-1]) * CLIENTS
                ),
                "r2": over_seeds(seeds, lambda run: run.final_accuracy),
            }
            for label, seeds in runs.items()
        )
    )


def _agree(table: Table) -> Verdict:
    kept, modified = (table.sample(name, "norm") for name in (SPARSE_PROXSKIP, ASP_MODIFIED))
    distance = abs(kept.mean - modified.mean) / kept.mean
    apart = kept - modified
    margins = [kept.scaled(AGREE) - apart, kept.scaled(AGREE) - apart.scaled(-1.0)]
    return Verdict.of(
        margins,
        f"{SPARSE_PROXSKIP}: {kept}, {ASP_MODIFIED}: {modified}, {distance:.1%} apart",
    )


def _above(column: str, name: str) -> Check:
    return lambda table: highest(table, column, name, KEEPING)


CLAIMS = (
    Claim(
        "The norms with Sparse-ProxSkip and Accelerated-Server-Pruning-modified agree within 10 %",
        _agree,
    ),
    *(
        Claim(f"The norm of the model is larger with {name}", _above("largest_norm", name))
        for name in VIOLATING
    ),
    *(
        Claim(f"The training loss is larger with {name}", _above("train_loss", name))
        for name in VIOLATING
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Norm of the model, norm of the gradient and training loss over rounds."""
    axes = panels(figure, 3)
    draw(axes[0], runs, "norm", "norm of the model")
    draw(axes[1], runs, "gradient", "norm of the mean gradient")
    draw(axes[2], runs, "train_loss", "training loss")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=2, fontsize="small", title="first seed"
    )
