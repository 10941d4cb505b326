"""[SPS] Fig. 3: accuracy and loss over the upload, images by writer at 99 %, runs of Table 4.

MNIST by writer is used in place of FEMNIST.
"""

from typing import Any

from studies.papers.sps._sps import (
    LOCAL,
    PROPOSED,
    SPARSE_PROXSKIP,
    coded_mbits,
    label_of,
    mbits_to,
    total_mbits,
)
from studies.papers.sps._sps_writers import (
    BASELINES,
    data_of,
    draw_over_upload,
    final_columns,
    lead,
    planned,
    searched,
)
from studies.report.claims import Check
from studies.report.curves import legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Sample, Table
from studies.report.summaries import common_accuracy
from studies.search.search import Search
from wirelessfl.experiment import Experiment

SPARSITY = 0.99


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Six methods at 99 %."""
    return planned(scale, (SPARSITY,))


def searches(scale: str) -> dict[str, Search]:
    """The searches of Table 4 at 99 %."""
    return searched(scale, (SPARSITY,))


def table(runs: Runs) -> Table:
    """Accuracy and loss at the end, total upload, and upload until the common accuracy."""
    targets = common_accuracy(runs.values(), last=1)
    return Table(
        tuple(
            {
                "method": label,
                **final_columns(seeds),
                "upload_mbits": total_mbits(seeds),
                "upload_coded_mbits": coded_mbits(seeds),
                "mbits_to_common_accuracy": _mbits(seeds, targets),
            }
            for label, seeds in runs.items()
        )
    )


def _mbits(runs: list[Run], targets: list[float]) -> Sample:
    """Upload until the target of each seed, which every run reaches with its last evaluation."""
    costs = [mbits_to(run, target) for run, target in zip(runs, targets, strict=True)]
    return Sample(tuple(cost for cost in costs if cost is not None))


def _first(column: str, name: str, *, larger: bool) -> Check:
    others = [label_of(baseline, SPARSITY) for baseline in BASELINES]
    return lambda table: lead(table, column, [label_of(name, SPARSITY)], others, larger=larger)


CLAIMS = (
    *(
        Claim(
            f"{name} gets to the accuracy that all reach with the least upload, "
            "but for its variant",
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
    """Accuracy and loss over the upload."""
    axes = panels(figure, 2)
    figure.set_size_inches(8.4, 4.2)
    data = data_of(next(iter(runs.values())))
    draw_over_upload(axes[0], runs, "accuracy", data)
    draw_over_upload(axes[1], runs, "loss", data)
    axes[0].set_ylabel("test accuracy")
    axes[1].set_ylabel("loss, mean of the clients'")
    legend_below(figure, axes[0])
