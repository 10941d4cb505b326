"""[SPS] Table 3: upload of a client until accuracies of 80 to 85 %, images by writer at 90 %.

The runs of Table 4; MNIST by writer is used in place of FEMNIST, and 75 % is added for methods that
reach no more in few rounds. Costs are million bits, 32 for each value and none for its index. The
unit of the printed numbers, which are listed for reference, is doubtful: as bits they would be one
to five rounds, as floats some hundred. Only ratios are compared.
"""

from typing import Any

import numpy as np

from studies.papers.sps._sps import (
    ASP,
    AT,
    FEDHT,
    FEDIHT,
    FINAL_TOPK,
    LOCAL,
    PROPOSED,
    SPARSE_PROXSKIP,
    cost_cell,
    cost_to,
    label_of,
    mbits_to,
)
from studies.papers.sps._sps_writers import (
    BASELINES,
    METHODS,
    data_of,
    final_columns,
    planned,
    searched,
)
from studies.report.claims import Check
from studies.report.curves import COLOURS
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Sample, Table, Verdict
from studies.search.search import Search
from wirelessfl.experiment import Experiment

THRESHOLDS = (0.75, 0.8, 0.825, 0.85)
PAPER: dict[str, tuple[float | None, ...]] = {
    FINAL_TOPK: (None, 6.0, 16.6, 92.4),
    FEDHT: (None, 4.0, 8.54, 45.7),
    FEDIHT: (None, 0.8, 1.61, 13.0),
    ASP: (None, 2.0, 3.57, None),
    LOCAL: (None, 0.5, 0.55, 2.52),
    SPARSE_PROXSKIP: (None, 0.2, 0.35, 0.65),
}


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Six methods at 90 %."""
    return planned(scale, (AT,))


def searches(scale: str) -> dict[str, Search]:
    """The searches of Table 4 at 90 %."""
    return searched(scale, (AT,))


def column_of(accuracy: float) -> str:
    """The column of the costs up to `accuracy`."""
    return f"mbits_to_{accuracy:g}"


def table(runs: Runs) -> Table:
    """For every accuracy the upload (empty unless all seeds reach it), printed and measured.

    `reached_` columns are the fraction of runs that reach the accuracy.
    """
    return Table(tuple(_row(label, seeds) for label, seeds in runs.items()))


def _row(label: str, seeds: list[Run]) -> dict[str, Any]:
    row: dict[str, Any] = {"method": label, **final_columns(seeds)}
    for accuracy, printed in zip(THRESHOLDS, PAPER[label.partition(",")[0]], strict=True):
        row[column_of(accuracy)] = cost_to(seeds, accuracy)
        row[f"paper_{column_of(accuracy)}_femnist"] = printed
        row[f"reached_{accuracy:g}"] = Sample(
            tuple(float(mbits_to(run, accuracy) is not None) for run in seeds)
        )
    return row


def cost(table: Table, name: str, accuracy: float) -> Sample | None:
    """A method's upload until an accuracy, in million bits; None where it is empty."""
    return cost_cell(table, label_of(name, AT), column_of(accuracy))


def _cheapest(accuracy: float) -> Check:
    """Check that Sparse-ProxSkip reaches the accuracy with fewer bits than all others."""

    def check(table: Table) -> Verdict:
        mine, *others = (
            cost(table, name, accuracy) for name in (SPARSE_PROXSKIP, LOCAL, *BASELINES)
        )
        names = (SPARSE_PROXSKIP, LOCAL, *BASELINES)
        figures = ", ".join(
            f"{name}: {found or '-'}" for name, found in zip(names, (mine, *others), strict=True)
        )
        reached = [found for found in others if found is not None]
        if mine is None or not reached:
            return Verdict(mine is not None, f"{figures}; nothing to compare", decided=False)
        return Verdict.of([found - mine for found in reached], figures)

    return check


def _cheaper(rival: str, times: float) -> Check:
    """Check that it needs at most 1 / `times` of the rival's bits at every accuracy both reach."""

    def check(table: Table) -> Verdict:
        ratios, margins = {}, []
        for accuracy in THRESHOLDS:
            mine = cost(table, SPARSE_PROXSKIP, accuracy)
            theirs = cost(table, rival, accuracy)
            if mine is not None and theirs is not None:
                ratios[accuracy] = theirs.mean / mine.mean
                margins.append(theirs - mine.scaled(times))
        figures = ", ".join(
            f"to {accuracy:g} {ratio:.3g} times" for accuracy, ratio in ratios.items()
        )
        if not margins:
            return Verdict(False, f"{rival} gets to none of them", decided=False)
        return Verdict.of(margins, figures)

    return check


CLAIMS = (
    *(Claim(f"Sparse-ProxSkip is the cheapest to {at:g}", _cheapest(at)) for at in THRESHOLDS),
    Claim(
        "It is at least 4 times cheaper than FedIHT (printed: 4 to 20 times)", _cheaper(FEDIHT, 4.0)
    ),
    Claim(
        "It is at least 20 times cheaper than FedHT (printed: 20 to 70 times)",
        _cheaper(FEDHT, 20.0),
    ),
    Claim(
        "It is about 10 times cheaper than Accelerated-Server-Pruning, at least 9",
        _cheaper(ASP, 9.0),
    ),
    Claim(
        "It is at least 30 times cheaper than Final-TopK (printed: 30 to 142 times)",
        _cheaper(FINAL_TOPK, 30.0),
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """Bits per accuracy on a logarithmic axis, one bar per method that gets there."""
    found = table(runs)
    figure.set_size_inches(8.0, 4.0)
    axes = figure.subplots()
    width = 0.84 / len(METHODS)
    places = np.arange(len(THRESHOLDS))
    for index, name in enumerate(METHODS):
        costs = [cost(found, name, accuracy) for accuracy in THRESHOLDS]
        axes.bar(
            places + (index - (len(METHODS) - 1) / 2) * width,
            [np.nan if sample is None else sample.mean for sample in costs],
            width,
            color=COLOURS[index],
            hatch="//" if name in PROPOSED else None,
            label=name,
        )
    axes.set_xticks(places, [f"{100 * accuracy:g} %" for accuracy in THRESHOLDS])
    axes.set(ylabel="uploaded (million bits a client)", title=data_of(next(iter(runs.values()))))
    axes.set_xlim(-0.5, len(THRESHOLDS) - 0.5)
    if any(cost(found, name, accuracy) is not None for name in METHODS for accuracy in THRESHOLDS):
        axes.set_yscale("log")
    axes.grid(alpha=0.3, axis="y")
    axes.set_axisbelow(True)
    figure.legend(
        loc="outside lower center",
        ncols=3,
        fontsize="small",
        title="no bar: not reached by all seeds",
    )
