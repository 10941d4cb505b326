"""[SPS] Fig. 4: accuracy and loss of ResNet-18 on CIFAR-10 at 90 %.

Ten clients, with a Dirichlet partition of 0.3 and log-normal sizes. At `small` scale the network is
a ResNet-20 of a quarter of the inner width on 1,000 images, six rounds of eight steps on average,
and nothing is searched. A network that is pruned to a tenth of its weights this early stays at
chance, 10 %, whatever the method: claims about accuracy are not informative there. The behaviour of
the control variates is. The paper clips gradients (by norm, in our reading): without clipping
ProxSkip ends in NaN; momentum is 0, and batch norm's running statistics are averaged and never
pruned.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from studies.papers.sps._sps import (
    ALGORITHMS,
    ASP,
    AT,
    FINAL_TOPK,
    SPARSE_PROXSKIP,
    coded_mbits,
    label_of,
    total_mbits,
)
from studies.papers.sps._sps_writers import BASELINES, METHODS, draw_over_upload, lead
from studies.report.claims import TEN_CLASSES, Check, beyond_chance
from studies.report.curves import COLOURS, LINES, draw_curves, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Sample, Table, Verdict, over_seeds
from studies.report.summaries import accuracy_columns
from studies.search.ranges import Choice, LogUniform, Range
from studies.search.search import Search
from wirelessfl.config.scenario_file import Tables, from_tables, merge
from wirelessfl.experiment import Experiment

NOT_CONTROLLED = ("FedHT", "FedIHT")
LAST = 5  # number of evaluations in the reported mean
CELL: Tables = {
    "scenario": {"clients": 10, "deadline_s": 1e4, "deadline_policy": "wait"},
    "channel": {"model": "static"},
    "allocation": {"method": "equal"},
}
TASK: dict[str, Any] = {
    "dataset": "cifar10",
    "augmentation": "crop-flip",
    "partition": "dirichlet",
    "dirichlet_alpha": 0.3,
    "size_sigma": 0.3,
    "tested_on": "whole",
    "weight_decay": 1e-4,
    "sparsity": AT,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "small": {
        "model": "resnet20",
        "width": 0.25,
        "train_samples": 1000,
        "test_samples": 500,
        "batch_size": 8,
        "learning_rate": 0.2,
        "probability": 1 / 8,
        "clip_norm": 10.0,
    },
    "paper": {
        "model": "resnet18",
        "batch_size": 32,
        "learning_rate": 0.05,
        "probability": 1 / 32,
        "clip_norm": 50.0,
    },
}
ROUNDS = {"small": 6, "paper": 500}
SEEDS = {"small": (0, 1), "paper": (0, 1, 2)}


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Six methods under the same settings, from which the searches of `paper` scale start."""
    every = {"paper": 5, "small": 1}[scale]
    run = {"rounds": ROUNDS[scale], "eval_every": every, "checkpoint_every": 5}
    firsts = {
        name: from_tables(
            merge(
                CELL,
                {
                    "training": {**TASK, **SETTINGS[scale], "algorithm": ALGORITHMS[name]},
                    "run": run,
                },
            )
        )
        for name in METHODS
    }
    return {
        label_of(name, AT): [
            replace(first, run=replace(first.run, seed=seed)) for seed in SEEDS[scale]
        ]
        for name, first in firsts.items()
    }


def searches(scale: str) -> dict[str, Search]:
    """The paper's search of rate, local steps, batch and clipping; it prints no range of the rate.

    CIFAR-10 has no validation rows: trials differ from the runs in seed, partition and order of the
    data.
    """
    if scale == "small":
        return {}
    space: dict[str, Range] = {
        "training.learning_rate": LogUniform(1e-3, 0.3),
        "training.probability": Choice(tuple(1 / steps for steps in (8, 16, 32, 64, 128, 256))),
        "training.batch_size": Choice((32, 64)),
        "training.clip_norm": LogUniform(10.0, 200.0),
    }
    return {label_of(name, AT): Search(space=space, evaluate_on=None) for name in METHODS}


def _control(run: Run, name: str) -> Any:
    return run.series(f"extra.{name}")


def _sum_by_mean(run: Run) -> float:
    return float(
        np.max(_control(run, "sum_control") / np.maximum(_control(run, "mean_control"), 1e-12))
    )


def table(runs: Runs) -> Table:
    """Accuracy, loss of mini-batches in the first and last rounds, control variates and upload.

    Accuracy is the mean of the last evaluations. `sum_by_mean` is the largest norm of the sum of
    the h_i divided by their mean norm, `mean_control` the final mean norm.
    """
    return Table(
        tuple(
            {
                "method": label,
                **accuracy_columns(seeds, LAST),
                "first_loss": over_seeds(seeds, lambda run: float(run.series("loss")[:2].mean())),
                "loss": over_seeds(seeds, lambda run: float(run.series("loss")[-2:].mean())),
                "sum_by_mean": over_seeds(seeds, _sum_by_mean),
                "mean_control": over_seeds(
                    seeds, lambda run: float(_control(run, "mean_control")[-1])
                ),
                "upload_mbits": total_mbits(seeds),
                "upload_coded_mbits": coded_mbits(seeds),
            }
            for label, seeds in runs.items()
        )
    )


def _explodes(table: Table) -> Verdict:
    ratio = table.sample(label_of(ASP, AT), "sum_by_mean")
    return Verdict.of([ratio.scaled(1.0, -1.0)], f"norm of the sum by mean norm: {ratio}")


def _zero(table: Table) -> Verdict:
    ratio = table.sample(label_of(SPARSE_PROXSKIP, AT), "sum_by_mean")
    return Verdict(
        max(ratio.values) < 1e-4, f"norm of the sum by mean norm, of 32 bits: {ratio.mean:.2g}"
    )


def _rises(table: Table) -> Verdict:
    late, early = (table.sample(label_of(ASP, AT), column) for column in ("loss", "first_loss"))
    change: Sample = late - early
    return Verdict.of([change], f"last rounds less first: {change}")


def _most_accurate(others: tuple[str, ...]) -> Check:
    labels = [label_of(other, AT) for other in others]
    mine = label_of(SPARSE_PROXSKIP, AT)
    return beyond_chance(
        lambda table: lead(table, "accuracy", [mine], labels),
        "accuracy",
        [mine, *labels],
        TEN_CLASSES,
    )


CLAIMS = (
    Claim(
        "With Accelerated-Server-Pruning the sum of the control variates is larger "
        "than their mean norm",
        _explodes,
    ),
    Claim("Its loss rises", _rises),
    Claim("Sparse-ProxSkip keeps the sum at 0, within rounding", _zero, kind="by construction"),
    Claim(
        "Sparse-ProxSkip is more accurate in the end than all baselines", _most_accurate(BASELINES)
    ),
    Claim("It is more accurate than Accelerated-Server-Pruning", _most_accurate((ASP,))),
    Claim("It is more accurate than Final-TopK", _most_accurate((FINAL_TOPK,))),
)


def figure(runs: Runs, figure: Any) -> None:
    """Accuracy over the upload, loss and the norm of the sum of the h_i over rounds."""
    axes = panels(figure, 3)
    figure.set_size_inches(11.0, 4.2)
    task = next(iter(runs.values()))[0].algorithm.task
    draw_over_upload(axes[0], runs, "accuracy", f"(a) {task.model}, {task.dataset}")
    axes[0].set_ylabel("test accuracy")
    draw_curves(axes[1], runs, "loss", "(b) loss of mini-batches")
    for index, (label, seeds) in enumerate(runs.items()):
        if not label.startswith(NOT_CONTROLLED):
            values = _control(seeds[0], "sum_control")
            axes[2].plot(
                range(1, len(values) + 1), values, color=COLOURS[index], linestyle=LINES[index]
            )
    axes[2].set(xlabel="round", title="(c) norm of the sum of h, first seed", yscale="log")
    axes[2].grid(alpha=0.3)
    legend_below(figure, axes[0])
