"""[CA-HFP] eq. (10): both sides with measured constants, over reconstructions."""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from studies.papers.ca_hfp._ca_hfp import CELL
from studies.report.claims import above, positive
from studies.report.curves import COLOURS, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Table, Verdict, over_seeds
from studies.report.summaries import largest
from training.convergence.bounds import CaHfpConstants, ca_hfp_bound
from wirelessfl.config.scenario_file import Tables, from_tables, merge
from wirelessfl.experiment import Experiment

SEEDS = (0, 1, 2)
ROUNDS = {"small": 100, "paper": 300}
EVERY = {"small": 20, "paper": 50}  # rounds between measurements of noise and smoothness
STEPS = 5
RATES = (0.1, 0.01)  # the paper's, and a tenth of it
RATIOS = (0.0, 0.2, 0.4, 0.6, 0.8) * 2
RECONSTRUCTIONS = {"reconstruction": "residual", "holders": "holders", "zeros": "zero-fill"}
DENSE = "dense"
ALL = (DENSE, *RECONSTRUCTIONS)
ERRORS = {"eq5": "pruning_error", "eq13": "zeroed_error"}

# The theorem is about plain SGD, without momentum or clipping, with equally many steps E.
_PLAIN = {"momentum": 0.0, "local_steps": STEPS}
_COMMON = {"partition": "dirichlet", "dirichlet_alpha": 1.0, "tested_on": "whole", **_PLAIN}
# The networks of the paper have batch norm, with which F_k is no mean over samples.
TRAINING: Mapping[str, Mapping[str, Any]] = {
    "small": {"dataset": "digits", "model": "digits-cnn", "batch_size": 32, **_COMMON},
    "paper": {"dataset": "fashion-mnist", "model": "cnn", "batch_size": 128, **_COMMON},
}


def label_of(name: str, rate: float) -> str:
    """The row of a reconstruction and a step size."""
    return f"{name}, rate {rate:g}"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Every reconstruction at two step sizes, and the whole model; without batch norm."""
    given = {"ratios": "given", "filter_ratios": list(RATIOS)}
    rows: dict[str, dict[str, Any]] = {DENSE: {"ratios": "uniform", "filter_ratio": 0.0}} | {
        name: {**given, "reconstruct": how} for name, how in RECONSTRUCTIONS.items()
    }
    run = {"rounds": ROUNDS[scale], "eval_every": ROUNDS[scale]}
    planned = {}
    for rate in RATES:
        for name, fields in rows.items():
            changes: Tables = {
                "training": {
                    "algorithm": "ca-hfp",
                    **TRAINING[scale],
                    **fields,
                    "learning_rate": rate,
                    "bound_every": EVERY[scale],
                }
            }
            one = from_tables({**merge(CELL, changes), "run": run})
            planned[label_of(name, rate)] = [
                replace(one, run=replace(one.run, seed=seed)) for seed in SEEDS
            ]
    return planned


def left_side(run: Run) -> float:
    """The mean over the rounds of ||grad F(w_t)||^2."""
    return float(np.mean(run.series("extra.gradient")))


def right_side(run: Run, error: str) -> dict[str, float]:
    """The terms of the bound in a run, with the largest constants met, and F* = 0.

    Args:
        run: The run.
        error: `eq5` or `eq13`, the definition of e_t.

    Returns:
        Term -> value.
    """
    names = ("smoothness", "noise", "dissimilarity")
    return ca_hfp_bound(
        CaHfpConstants(**{name: largest(run, name) for name in names}),
        gap=float(run.series("extra.loss")[0]),
        rounds=len(run),
        rate=run.algorithm.learning_rate,
        steps=STEPS,
        pruning_error=float(np.mean(run.series(f"extra.{ERRORS[error]}"))),
    )


def _term_of(run: Run, error: str, term: str) -> float:
    return right_side(run, error)[term]


def _looseness(run: Run, error: str) -> float:
    return math.log10(sum(right_side(run, error).values()) / left_side(run))


def _condition(run: Run) -> float:
    """4 eta L E, which Lemma 1 asks to be at most 1."""
    return 4.0 * float(run.algorithm.learning_rate) * STEPS * largest(run, "smoothness")


def table(runs: Runs) -> Table:
    """Both sides, with e_t by [CA-HFP] eq. (5) and by [CA-HFP] eq. (13), and the constants."""
    return Table(
        tuple(
            {
                "setting": label,
                "left": over_seeds(seeds, left_side),
                **{
                    f"log10_right_{error}_over_left": over_seeds(
                        seeds, partial(_looseness, error=error)
                    )
                    for error in ERRORS
                },
                "start": over_seeds(seeds, partial(_term_of, error="eq5", term="start")),
                "noise_term": over_seeds(seeds, partial(_term_of, error="eq5", term="noise")),
                **{
                    f"pruning_{error}": over_seeds(
                        seeds, partial(_term_of, error=error, term="pruning")
                    )
                    for error in ERRORS
                },
                "four_eta_l_e": over_seeds(seeds, _condition),
                **{
                    name: over_seeds(seeds, partial(largest, name=name))
                    for name in ("smoothness", "noise", "dissimilarity")
                },
                "accuracy": over_seeds(seeds, lambda run: run.final_accuracy),
            }
            for label, seeds in runs.items()
        )
    )


def _condition_holds(table: Table, rate: float) -> Verdict:
    samples = [table.sample(label_of(name, rate), "four_eta_l_e") for name in ALL]
    figures = ", ".join(f"{name}: {one}" for name, one in zip(ALL, samples, strict=True))
    return Verdict.of([sample.scaled(-1.0, 1.0) for sample in samples], f"4 eta L E {figures}")


EVERY_ROW = tuple(label_of(name, rate) for rate in RATES for name in ALL)
CLAIMS = (
    Claim(
        "The right side of [CA-HFP] eq. (10) is at least the left, with e_t of [CA-HFP] eq. (5)",
        positive("log10_right_eq5_over_left", EVERY_ROW),
    ),
    Claim(
        "The right side of [CA-HFP] eq. (10) is at least the left, with e_t of [CA-HFP] eq. (13)",
        positive("log10_right_eq13_over_left", EVERY_ROW),
    ),
    Claim(
        "The step size of the paper, 0.1, is within 1 / (4 L E), as Lemma 1 needs",
        partial(_condition_holds, rate=RATES[0]),
    ),
    *(
        Claim(
            f"Values set to 0 leave a larger squared gradient than {name} at rate {RATES[0]:g}",
            above("left", label_of("zeros", RATES[0]), label_of(name, RATES[0])),
        )
        for name in ("reconstruction", "holders")
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """The squared gradient over the rounds at both step sizes, and the right sides as levels."""
    for axes, rate, letter in zip(panels(figure, len(RATES)), RATES, "ab", strict=True):
        for index, name in enumerate(ALL):
            seeds = runs[label_of(name, rate)]
            values = np.mean([run.series("extra.gradient") for run in seeds], axis=0)
            color = COLOURS[index]
            axes.plot(np.arange(1, len(values) + 1), values, color=color, label=name)
            level = np.mean([sum(right_side(run, "eq5").values()) for run in seeds])
            axes.axhline(level, color=color, linestyle="--", linewidth=1)
        axes.set(
            xlabel="round",
            ylabel="squared gradient of F",
            yscale="log",
            title=f"({letter}) rate {rate:g}, bound dashed",
        )
        axes.grid(alpha=0.3)
    legend_below(figure, axes)
