"""[SPS] Fig. 1: R^2 on BlogFeedback and accuracy of a ResNet, both over the upload.

The runs are those of Fig. 2 and 4.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from studies.papers.sps import sps_fig2, sps_fig4
from studies.papers.sps._sps import (
    AT,
    BASELINES,
    SPARSE_PROXSKIP,
    coded_mbits,
    label_of,
    total_mbits,
    upload_mbits,
)
from studies.papers.sps._sps_writers import BASELINES as NETWORK_BASELINES
from studies.papers.sps._sps_writers import draw_over_upload, lead
from studies.papers.sps.sps_fig2 import at
from studies.report.claims import TEN_CLASSES, Check, beyond_chance
from studies.report.curves import panels
from studies.report.results import Cell, Claim, Runs, Sample, Table, Verdict, over_seeds
from studies.search.search import Search
from wirelessfl.experiment import Experiment

BLOG = "BlogFeedback"
CIFAR = "CIFAR-10"
T = TypeVar("T")


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """The experiments of both figures, under the seeds that both have."""
    networks = sps_fig4.experiments(scale)
    seeds = {experiment.run.seed for experiment in next(iter(networks.values()))}
    blogs = {
        label: [experiment for experiment in every if experiment.run.seed in seeds]
        for label, every in sps_fig2.experiments(scale).items()
    }
    return _together(blogs, networks)


def searches(scale: str) -> dict[str, Search]:
    """The searches of both figures."""
    return _together(sps_fig2.searches(scale), sps_fig4.searches(scale))


def _together(blogs: Mapping[str, T], networks: Mapping[str, T]) -> dict[str, T]:
    return {
        row_of(data, label): value
        for data, part in ((BLOG, blogs), (CIFAR, networks))
        for label, value in part.items()
    }


def row_of(data: str, label: str) -> str:
    """A row of the table."""
    return f"{data}: {label}"


def _part(runs: Runs, data: str) -> Runs:
    prefix = row_of(data, "")
    return {
        label.removeprefix(prefix): seeds
        for label, seeds in runs.items()
        if label.startswith(prefix)
    }


def table(runs: Runs) -> Table:
    """R^2 or accuracy at the end, and at the total upload of the cheapest run."""
    rows: list[dict[str, Cell]] = []
    for data in (BLOG, CIFAR):
        part = _part(runs, data)
        cheapest = min(float(upload_mbits(run)[-1]) for seeds in part.values() for run in seeds)
        for label, seeds in part.items():
            there = Sample(tuple(at(run, "accuracy", cheapest) for run in seeds))
            rows.append(
                {
                    "data: method": row_of(data, label),
                    "r2_or_accuracy": over_seeds(seeds, lambda run: run.final_accuracy),
                    "at_mbits": cheapest,
                    "r2_or_accuracy_there": there,
                    "upload_mbits": total_mbits(seeds),
                    "upload_coded_mbits": coded_mbits(seeds),
                }
            )
    return Table(tuple(rows))


def _before(table: Table, column: str, data: str, baselines: tuple[str, ...]) -> Verdict:
    others = [row_of(data, label_of(name, AT)) for name in baselines]
    return lead(table, column, [row_of(data, label_of(SPARSE_PROXSKIP, AT))], others)


def _before_on_images(column: str) -> Check:
    labels = [row_of(CIFAR, label_of(name, AT)) for name in (SPARSE_PROXSKIP, *NETWORK_BASELINES)]
    return beyond_chance(
        lambda table: _before(table, column, CIFAR, NETWORK_BASELINES), column, labels, TEN_CLASSES
    )


CLAIMS = (
    Claim(
        "On BlogFeedback Sparse-ProxSkip has a higher R^2 than all baselines for the same upload",
        lambda table: _before(table, "r2_or_accuracy_there", BLOG, BASELINES),
    ),
    Claim(
        "With a ResNet it is more accurate than all baselines for the same upload",
        _before_on_images("r2_or_accuracy_there"),
    ),
    Claim(
        "With a ResNet it is more accurate than all baselines in the end",
        _before_on_images("r2_or_accuracy"),
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """R^2 and accuracy over the upload."""
    axes = panels(figure, 2)
    figure.set_size_inches(9.6, 5.0)
    for panel, (data, quantity) in zip(
        axes, ((BLOG, "test R²"), (CIFAR, "test accuracy")), strict=True
    ):
        draw_over_upload(panel, _part(runs, data), "accuracy", f"{data}, {100 * AT:g} %")
        panel.set_ylabel(quantity)
        panel.legend(fontsize="x-small")
    axes[0].set_ylim(bottom=0.0)
