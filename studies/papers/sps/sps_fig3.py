"""[SPS] Fig. 3: accuracy and loss over what a client has uploaded, images by writer at 99 %; the
runs of Table 4.

MNIST by writer stands in for FEMNIST.
"""

from typing import Any

from studies.papers.sps._sps import LOCAL, PROPOSED, SPARSE_PROXSKIP, label_of, upload_mbits
from studies.papers.sps._sps_writers import (
    BASELINES,
    accuracy_columns,
    data_of,
    draw_over_upload,
    lead,
    planned,
    searched,
)
from studies.report.claims import Check
from studies.report.curves import legend_below, panels
from studies.report.results import Claim, Runs, Sample, Table, over_seeds
from studies.search.search import Search
from wirelessfl.experiment import Experiment

SPARSITY = 0.99


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Six methods at 99 %."""
    return planned(scale, (SPARSITY,))


def searches(scale: str) -> dict[str, Search]:
    """As for Table 4."""
    return searched(scale, (SPARSITY,))


def table(runs: Runs) -> Table:
    """Accuracy and loss at the end, what a client uploads, and until the accuracy that all methods
    of a seed reach.
    """
    targets = [
        min(run.final_accuracy for run in same_seed)
        for same_seed in zip(*runs.values(), strict=True)
    ]
    return Table(
        tuple(
            {
                "method": label,
                **accuracy_columns(seeds),
                "upload_mbits": over_seeds(seeds, lambda run: float(upload_mbits(run)[-1])),
                "mbits_to_common_accuracy": Sample(
                    tuple(
                        float(upload_mbits(run)[(run.series("accuracy") >= target).argmax()])
                        for run, target in zip(seeds, targets, strict=True)
                    )
                ),
            }
            for label, seeds in runs.items()
        )
    )


def _first(column: str, name: str, *, larger: bool) -> Check:
    others = [label_of(baseline, SPARSITY) for baseline in BASELINES]
    return lambda table: lead(table, column, [label_of(name, SPARSITY)], others, larger=larger)


CLAIMS = (
    *(
        Claim(
            f"{name} gets to the accuracy that all reach with the least upload, but for its variant",
            check,
        )
        for name, check in (
            (name, _first("mbits_to_common_accuracy", name, larger=False)) for name in PROPOSED
        )
    ),
    *(
        Claim(
            f"{name} is the most accurate in the end, but for its variant",
            _first("accuracy", name, larger=True),
        )
        for name in (LOCAL, SPARSE_PROXSKIP)
    ),
    *(
        Claim(
            f"{name} has the lowest loss in the end, but for its variant",
            _first("loss", name, larger=False),
        )
        for name in (LOCAL, SPARSE_PROXSKIP)
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Both over the upload."""
    axes = panels(figure, 2)
    figure.set_size_inches(8.4, 4.2)
    data = data_of(next(iter(runs.values())))
    draw_over_upload(axes[0], runs, "accuracy", data)
    draw_over_upload(axes[1], runs, "loss", data)
    axes[0].set_ylabel("test accuracy")
    axes[1].set_ylabel("loss, mean of the clients'")
    legend_below(figure, axes[0])
