"""[SPS] Table 2: upload of a client until R^2 is 0.2, 0.225 and 0.25, BlogFeedback at 90 %.

The runs of Table 1. Costs are million bits of one client, 32 for each value and none for its index,
by which the paper's numbers are whole rounds: 8,992 bits in a dense one, 896 in a sparse one. A
cost is empty unless all seeds reach the value.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from studies.papers.sps._sps import (
    ASP,
    AT,
    BASELINES,
    FEDHT,
    FEDIHT,
    FINAL_TOPK,
    LOCAL,
    METHODS,
    PROPOSED,
    RANDPROX,
    SCALES,
    SPARSE_PROXSKIP,
    cost_cell,
    cost_to,
    label_of,
    mbits_to,
    planned,
    r2_columns,
    searched,
)
from studies.report.claims import Check
from studies.report.curves import COLOURS
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Sample, Table, Verdict, over_seeds
from studies.search.search import Search
from wirelessfl.experiment import Experiment

__all__ = ["CLAIMS", "SCALES", "experiments", "figure", "searches", "table"]

THRESHOLDS = (0.2, 0.225, 0.25)
PAPER: dict[str, tuple[float | None, ...]] = {
    FINAL_TOPK: (1.16, 1.44, None),
    FEDHT: (14.8, None, None),
    FEDIHT: (2.49, None, None),
    ASP: (0.73, None, None),
    RANDPROX: (0.18, 0.25, None),
    LOCAL: (0.13, 0.21, 0.76),
    SPARSE_PROXSKIP: (0.10, 0.14, 0.19),
}


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Every method at 90 %."""
    return planned(scale, (AT,))


def searches(scale: str) -> dict[str, Search]:
    """A search for every method, as for Table 1."""
    return searched(scale, (AT,))


def column_of(r2: float) -> str:
    """The column of the costs up to `r2`."""
    return f"mbits_to_{r2:g}"


def table(runs: Runs) -> Table:
    """For every R^2 the upload, measured and printed, and the fraction of runs that reach it."""
    return Table(tuple(_row(label, seeds) for label, seeds in runs.items()))


def _row(label: str, seeds: list[Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"method": label}
    for r2, printed in zip(THRESHOLDS, PAPER[label.partition(",")[0]], strict=True):
        row[column_of(r2)] = cost_to(seeds, r2)
        row[f"paper_{column_of(r2)}"] = printed
        row[f"reached_{r2:g}"] = over_seeds(seeds, _reaches(r2))
    return row | {"r2": r2_columns(seeds)["r2"]}


def _reaches(r2: float) -> Callable[[Run], float]:
    return lambda run: float(mbits_to(run, r2) is not None)


def cost(table: Table, name: str, r2: float) -> Sample | None:
    """A method's upload until R^2 is `r2`, in million bits; None where it is empty."""
    return cost_cell(table, label_of(name, AT), column_of(r2))


def _cheapest(r2: float) -> Check:
    """Check that Sparse-ProxSkip needs fewer bits than every baseline that reaches the value."""

    def check(table: Table) -> Verdict:
        mine = cost(table, SPARSE_PROXSKIP, r2)
        others = {name: cost(table, name, r2) for name in BASELINES}
        figures = ", ".join(
            f"{name}: {found or '-'}" for name, found in {SPARSE_PROXSKIP: mine, **others}.items()
        )
        reached = [found for found in others.values() if found is not None]
        if mine is None or not reached:
            return Verdict(mine is not None, f"{figures}; nothing to compare", decided=False)
        return Verdict.of([found - mine for found in reached], figures)

    return check


def _cheaper(rival: str, times: float) -> Check:
    """Check that at R^2 0.2 it needs at most 1 / `times` of the rival's bits.

    Undecided if either never reaches the value.
    """

    def check(table: Table) -> Verdict:
        mine = cost(table, SPARSE_PROXSKIP, THRESHOLDS[0])
        theirs = cost(table, rival, THRESHOLDS[0])
        if mine is None or theirs is None:
            figures = f"{SPARSE_PROXSKIP}: {mine or '-'}, {rival}: {theirs or '-'}"
            return Verdict(mine is not None, figures, decided=False)
        ratio = theirs.mean / mine.mean
        figures = f"{ratio:.3g} times: {theirs} against {mine}"
        return Verdict.of([theirs - mine.scaled(times)], figures)

    return check


def _only_proposed(table: Table) -> Verdict:
    reached = {
        name: table.sample(label_of(name, AT), f"reached_{THRESHOLDS[-1]:g}") for name in METHODS
    }
    holds = all(
        (sample.mean >= 1) if name in PROPOSED else (sample.mean < 1)
        for name, sample in reached.items()
    )
    figures = ", ".join(f"{name}: {sample.mean:g}" for name, sample in reached.items())
    return Verdict(holds, f"share of runs: {figures}")


CLAIMS = (
    *(
        Claim(f"Sparse-ProxSkip is the cheapest to R^2 {r2:g} but for its variant", _cheapest(r2))
        for r2 in THRESHOLDS
    ),
    Claim(
        "To R^2 0.2 it is about ten times cheaper than Final-TopK (at least 5 times)",
        _cheaper(FINAL_TOPK, 5.0),
    ),
    Claim(
        "To R^2 0.2 it is about twenty times cheaper than FedIHT (at least 10 times)",
        _cheaper(FEDIHT, 10.0),
    ),
    Claim("Only the proposed methods get to R^2 0.25", _only_proposed),
)


def figure(runs: Runs, figure: Any) -> None:
    """Bits per threshold on a logarithmic axis, one bar per method that gets there."""
    found = table(runs)
    figure.set_size_inches(8.0, 4.0)
    axes = figure.subplots()
    width = 0.84 / len(METHODS)
    places = np.arange(len(THRESHOLDS))
    for index, name in enumerate(METHODS):
        costs = [cost(found, name, r2) for r2 in THRESHOLDS]
        axes.bar(
            places + (index - (len(METHODS) - 1) / 2) * width,
            [np.nan if sample is None else sample.mean for sample in costs],
            width,
            color=COLOURS[index % len(COLOURS)],
            hatch="//" if index >= len(COLOURS) else None,
            label=name,
        )
    axes.set(
        xticks=places,
        xticklabels=[f"R² = {r2:g}" for r2 in THRESHOLDS],
        ylabel="uploaded (million bits a client)",
    )
    axes.set_xlim(-0.5, len(THRESHOLDS) - 0.5)
    if any(cost(found, name, r2) is not None for name in METHODS for r2 in THRESHOLDS):
        axes.set_yscale("log")
    axes.grid(alpha=0.3, axis="y")
    axes.set_axisbelow(True)
    figure.legend(
        loc="outside lower center",
        ncols=4,
        fontsize="small",
        title="no bar: R² not reached by all seeds",
    )
