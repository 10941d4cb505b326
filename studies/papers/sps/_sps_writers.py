"""Methods, settings, searches and reported columns of the studies of [SPS] on images by writer.

Multinomial logistic regression, one client per writer: 100 of MNIST's 539 (about 11,100 images, 10
classes), in place of FEMNIST's (62 classes). With FEMNIST's files the same studies run by `--set
training.dataset=femnist`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from studies.papers.sps._sps import (
    ALGORITHMS,
    ASP,
    FEDHT,
    FEDIHT,
    FINAL_TOPK,
    LOCAL,
    PROPOSED,
    SPARSE_PROXSKIP,
    label_of,
    upload_mbits,
)
from studies.report.claims import compare
from studies.report.curves import COLOURS, LINES, SeedCurve
from studies.report.isolated import points
from studies.report.one_run.run import Run
from studies.report.results import Runs, Sample, Table, Verdict, over_seeds
from studies.search.ranges import LogUniform
from studies.search.search import Search
from wirelessfl.config.scenario_file import Tables, from_tables, merge
from wirelessfl.experiment import Experiment

BASELINES = (FINAL_TOPK, FEDHT, FEDIHT, ASP)
METHODS = (*BASELINES, *PROPOSED)
SPARSITIES: Mapping[str, tuple[float, ...]] = {
    "small": (0.8, 0.9, 0.99),
    "paper": (0.8, 0.9, 0.95, 0.98, 0.99),
}
STAND_IN = {"qmnist-writers": "MNIST by writer, in place of FEMNIST", "femnist": "FEMNIST"}
# The cell does not matter in these studies, so it is the one that is cheapest to simulate. Its
# deadline exceeds every round, however many steps it draws, as `equal` excludes a client that
# cannot meet it.
CELL: Tables = {
    "scenario": {"clients": 100, "deadline_s": 1e4, "deadline_policy": "wait"},
    "channel": {"model": "static"},
    "allocation": {"method": "equal"},
}
TASK: Mapping[str, Any] = {
    "dataset": "qmnist-writers",
    "model": "logistic",
    "partition": "natural",
    "gradients": "full",
    "l2": 1e-3,  # the paper does not print it
}
SEEDS: Mapping[str, tuple[int, ...]] = {"small": (0, 1), "paper": (0, 1, 2, 3, 4)}
ROUNDS: Mapping[str, int] = {"small": 20, "paper": 2000}
# The most accurate of some rates from 0.003 to 0.5 after 25 rounds, at 90 % and on another draw of
# writers; that of Accelerated-Server-Pruning is the largest one tried. p is 1/20, which was better
# than 1/5 for every method at its best rate up to 0.03.
PROBABILITY = 0.05
RATES: Mapping[str, float] = {
    FINAL_TOPK: 0.003,
    FEDHT: 0.25,
    FEDIHT: 0.25,
    ASP: 0.5,
    LOCAL: 0.25,
    SPARSE_PROXSKIP: 0.12,
}


def planned(
    scale: str, sparsities: Iterable[float], names: Iterable[str] = METHODS
) -> dict[str, list[Experiment]]:
    """Methods at sparsities; at `small` scale with their settings, else the start of a search.

    Args:
        scale: "small" or "paper".
        sparsities: Fractions of weights that are 0.
        names: The methods.

    Returns:
        Label -> one experiment per seed.
    """
    return {
        label_of(name, sparsity): experiments(scale, ALGORITHMS[name], sparsity, RATES[name])
        for sparsity in sparsities
        for name in names
    }


def experiments(scale: str, algorithm: str, sparsity: float, rate: float) -> list[Experiment]:
    """One algorithm with this learning rate, one experiment per seed."""
    step = {"learning_rate": rate, "probability": PROBABILITY}
    training = {**TASK, **step, "algorithm": algorithm, "sparsity": sparsity}
    first = from_tables(
        merge(CELL, {"training": training, "run": {"rounds": ROUNDS[scale], "eval_every": 1}})
    )
    return [replace(first, run=replace(first.run, seed=seed)) for seed in SEEDS[scale]]


def searched(
    scale: str, sparsities: Iterable[float], names: Iterable[str] = METHODS
) -> dict[str, Search]:
    """The searches of learning rate and p at `paper` scale; the paper does not print their ranges.

    The data have no validation rows: a search uses other writers than the runs (its seed is none of
    theirs) and is ranked on the same test images, which favours all methods alike.

    Args:
        scale: "small" or "paper".
        sparsities: Fractions of weights that are 0.
        names: The methods.

    Returns:
        Label -> search; empty at `small` scale.
    """
    if scale == "small":
        return {}
    space = {
        "training.learning_rate": LogUniform(1e-3, 1.0),
        "training.probability": LogUniform(1 / 200, 1 / 2),
    }
    return {
        label_of(name, sparsity): Search(space=space, evaluate_on=None)
        for sparsity in sparsities
        for name in names
    }


def data_of(runs: list[Run]) -> str:
    """The name of the training data in the tables."""
    dataset: str = runs[0].algorithm.task.dataset
    return STAND_IN.get(dataset, dataset)


def final_columns(runs: list[Run]) -> dict[str, Any]:
    """The data, and final accuracy and loss (mean of the f_i) of the pruned model."""
    return {
        "data": data_of(runs),
        "accuracy": over_seeds(runs, lambda run: run.final_accuracy),
        "loss": over_seeds(runs, lambda run: float(run.series("loss")[-1])),
    }


def lead(
    table: Table, column: str, names: Iterable[str], others: Iterable[str], *, larger: bool = True
) -> Verdict:
    """Check that the best of the rows `names` is ahead of all `others`.

    Args:
        table: A study's results table.
        column: A measured column.
        names: The rows of which the best is compared.
        others: The rows it is compared to.
        larger: True where a larger value is better.

    Returns:
        The verdict; its figures give the difference to the best of `others`.
    """
    sign = 1.0 if larger else -1.0

    def first(labels: Iterable[str]) -> tuple[str, Sample]:
        return max(
            ((label, table.sample(label, column)) for label in labels),
            key=lambda pair: sign * pair[1].mean,
        )

    mine, ours = first(names)
    rival, theirs = first(others)
    verdict = compare(ours, theirs) if larger else compare(theirs, ours)
    return verdict.with_figures(
        f"{mine if larger else rival} against {rival if larger else mine}: {verdict.figures}",
    )


def best_of(table: Table, column: str, labels: Iterable[str]) -> Sample:
    """The sample of highest mean in these rows."""
    return max((table.sample(label, column) for label in labels), key=lambda sample: sample.mean)


def draw_over_upload(axes: Any, runs: Runs, quantity: str, title: str) -> None:
    """Draw one line per label over the upload of a client, with a band of one standard error.

    Args:
        axes: Matplotlib axes; the horizontal one becomes logarithmic.
        runs: Label -> one run per seed.
        quantity: A key of `QUANTITIES`.
        title: The title of the axes.
    """
    for index, (label, seeds) in enumerate(runs.items()):
        curve = SeedCurve.of(seeds, quantity)
        sent = np.mean([upload_mbits(run)[curve.round - 1] for run in seeds], axis=0)
        colour, line = COLOURS[index % len(COLOURS)], LINES[index % len(LINES)]
        width = 2.4 if label.startswith(SPARSE_PROXSKIP) else 1.4
        axes.plot(
            sent,
            curve.mean,
            color=colour,
            linestyle=line,
            linewidth=width,
            label=label.partition(",")[0],
            **points(curve.mean),
        )
        low, high = curve.mean - curve.standard_error, curve.mean + curve.standard_error
        axes.fill_between(sent, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.set(xscale="log", xlabel="uploaded (million bits a client)", title=title)
    axes.grid(alpha=0.3)
