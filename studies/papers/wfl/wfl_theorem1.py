"""[WFL] eq. (31): both sides with measured constants, over ratios and allocators."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from studies.papers.wfl._wfl import SCENARIO_S
from studies.presets import preset_files
from studies.report.claims import increasing, lowest, positive
from studies.report.curves import COLOURS, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Sample, Table, Verdict, over_seeds
from studies.report.summaries import largest
from training.convergence.bounds import WflConstants, wfl_bound, wfl_left_side
from wirelessfl.config.scenario_file import Tables, from_tables, merge, read_tables
from wirelessfl.experiment import Experiment

SEEDS = (0, 1, 2)
RATIOS = (0.0, 0.2, 0.4, 0.6, 0.8)
ROUNDS = {"small": 60, "paper": 200}
EVERY = {"small": 20, "paper": 50}  # rounds between measurements of noise and smoothness
CAP: dict[str, dict[str, float]] = {"small": {}, "paper": {"max_pruning_ratio": 0.95}}
ALLOCATORS = {
    "exact": "exact",
    "one common ratio": "equal-common",
    "max-min": "max-min",
    "proportional fairness": "proportional-fairness",
}
EVALUATED = {"small": 60, "paper": 5}
TERMS = ("start", "steps", "pruning")


def of_ratio(ratio: float) -> str:
    """The row of a fixed ratio."""
    return f"ratio {ratio:g}"


def of_allocator(name: str) -> str:
    """The row of an allocator."""
    return f"25 ms, {name}"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Fixed ratios on equal bands, and four allocators at 25 ms; small: the digits."""
    base = SCENARIO_S if scale == "paper" else read_tables(preset_files()["digits"])
    run = {"rounds": ROUNDS[scale], "eval_every": EVALUATED[scale]}
    measured = merge(base, {"training": {"bound_every": EVERY[scale]}})
    rows: dict[str, Tables] = {
        of_ratio(ratio): {"allocation": {"method": "fixed-ratio", "pruning_ratio": ratio}}
        for ratio in RATIOS
    } | {of_allocator(name): {"allocation": {"method": key}} for name, key in ALLOCATORS.items()}
    planned = {}
    for label, changes in rows.items():
        # An allocator's own fields replace those of the base; without a cap at small scale.
        allocation = {**CAP[scale], **changes["allocation"]}
        one = from_tables({**measured, "allocation": allocation, "run": run})
        planned[label] = [replace(one, run=replace(one.run, seed=seed)) for seed in SEEDS]
    return planned


def _mean(run: Run, name: str) -> float:
    return float(np.nanmean(run.series(f"extra.{name}")))


def _rates(run: Run) -> dict[str, Any]:
    """Step sizes and steps of both parts."""
    algorithm = run.algorithm
    personal = algorithm.personal_learning_rate
    return {
        "shared_rate": algorithm.learning_rate,
        "personal_rate": algorithm.learning_rate if personal is None else personal,
        "shared_steps": algorithm.shared_steps,
        "personal_steps": algorithm.personal_steps,
    }


def left_side(run: Run) -> float:
    """The left side of [WFL] eq. (31) in a run."""
    return wfl_left_side(
        _mean(run, "personal_gradient"), _mean(run, "shared_gradient"), **_rates(run)
    )


def right_side(run: Run) -> dict[str, float]:
    """The terms of the bound in a run, with the largest constants met, and F* = 0."""
    names = ("shared_smoothness", "personal_smoothness", "pruning_error", "shared_moment")
    noise = ("shared_noise", "personal_noise")
    constants = WflConstants(**{name: largest(run, name) for name in (*names, *noise)})
    layout = run.algorithm.method.spec().layout()
    return wfl_bound(
        constants,
        gap=float(run.series("extra.loss")[0]),
        rounds=len(run),
        clients=run.experiment.scenario.clients,
        weights=layout.shared_size,
        holders=float(np.nanmin(run.series("extra.holders"))),
        ratios=float(np.nansum(run.series("extra.ratios"))),
        **_rates(run),
    )


def _term_of(run: Run, term: str) -> float:
    return right_side(run)[term]


def _looseness(run: Run) -> float:
    return math.log10(sum(right_side(run).values()) / left_side(run))


def _term(run: Run) -> float:
    """Mean over the rounds of the sum of the ratios over kappa*: the planned part of A_2."""
    return float(np.mean(run.series("extra.ratios") / run.series("extra.holders")))


def table(runs: Runs) -> Table:
    """Both sides, the terms of the right one, and the constants.

    kappa* is that of the weights with a holder; `without_holder` is the fraction that has none, for
    which [WFL] eq. (31) is infinite ([WFL] erratum W11).
    """
    return Table(
        tuple(
            {
                "setting": label,
                "ratios_sum": over_seeds(seeds, lambda run: _mean(run, "ratios")),
                "without_holder": over_seeds(seeds, lambda run: _mean(run, "without_holder")),
                "ratios_over_holders": over_seeds(seeds, _term),
                "left": over_seeds(seeds, left_side),
                **{term: over_seeds(seeds, partial(_term_of, term=term)) for term in TERMS},
                "log10_right_over_left": over_seeds(seeds, _looseness),
                **{
                    name: over_seeds(seeds, partial(largest, name=name))
                    for name in (
                        "shared_smoothness",
                        "personal_smoothness",
                        "cross_smoothness",
                        "pruning_error",
                        "shared_moment",
                        "shared_noise",
                        "diversity",
                    )
                },
            }
            for label, seeds in runs.items()
        )
    )


def _has_holder(table: Table, ratio: float) -> Verdict:
    sample = table.sample(of_ratio(ratio), "without_holder")
    return Verdict.of([sample.scaled(-1.0)], f"fraction without a holder {sample}")


def _pruning_decides(table: Table, ratio: float) -> Verdict:
    label = of_ratio(ratio)
    pruning, steps = (table.sample(label, term) for term in ("pruning", "steps"))
    # They differ by orders of magnitude from seed to seed: their ratio is compared.
    quotient = Sample(tuple(np.log10(np.divide(pruning.values, steps.values)).tolist()))
    return Verdict.of([quotient], f"A_2 term {pruning}, A_1 {steps}, quotient 10^{quotient}")


ROWS = (*map(of_ratio, RATIOS), *map(of_allocator, ALLOCATORS))
CLAIMS = (
    Claim(
        "The right side of [WFL] eq. (31) is at least the left one",
        positive("log10_right_over_left", ROWS),
    ),
    Claim(
        "At ratio 0.4 every shared weight has a holder in every round, as 1 / kappa* needs",
        partial(_has_holder, ratio=0.4),
    ),
    Claim(
        "The left side of [WFL] eq. (31) rises with the pruning ratio, as its bound does",
        increasing("left", [of_ratio(ratio) for ratio in RATIOS]),
    ),
    Claim(
        "At ratio 0.8 the term of the ratios, A_2, is above the term without them, A_1",
        partial(_pruning_decides, ratio=0.8),
    ),
    Claim(
        "The allocation with the least sum of ratios also has the least sum of ratios over kappa*",
        lambda table: lowest(
            table,
            "ratios_over_holders",
            of_allocator("exact"),
            [of_allocator(name) for name in ALLOCATORS if name != "exact"],
        ),
        kind="by construction",  # it minimises the sum, and kappa* is 1 wherever a ratio is above 0
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """(a) the left side and the terms of the right one over the ratio; (b) shared gradient."""
    left, right = panels(figure, 2)
    found = table(runs)
    labels = [of_ratio(ratio) for ratio in RATIOS]
    for index, column in enumerate(("left", *TERMS)):
        samples = [found.sample(label, column) for label in labels]
        left.errorbar(
            RATIOS,
            [sample.mean or math.nan for sample in samples],
            yerr=[sample.standard_error for sample in samples],
            marker="osD^"[index],
            markersize=4,
            capsize=3,
            color=COLOURS[index],
            label="measured, left side" if column == "left" else f"bound, {column}",
        )
    left.set(xlabel="pruning ratio", title="(a) [WFL] eq. (31)", yscale="log", xticks=RATIOS)
    left.grid(alpha=0.3)
    left.legend(fontsize="x-small", frameon=False)
    for index, label in enumerate(labels):
        values = np.mean([run.series("extra.shared_gradient") for run in runs[label]], axis=0)
        right.plot(np.arange(1, len(values) + 1), values, color=COLOURS[index], label=label)
    right.set(xlabel="round", ylabel="squared gradient", yscale="log", title="(b) shared gradient")
    right.grid(alpha=0.3)
    right.legend(fontsize="x-small", frameon=False)
