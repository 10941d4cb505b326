"""The cost of planning with a wrong channel: misses, accuracy and time under each policy."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from studies.papers.wfl._wfl import SCENARIO_S, mean_ratio
from studies.report.claims import above, within
from studies.report.curves import COLOURS, draw_over_time, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Claim, Runs, Sample, Table, Verdict, over_seeds
from wirelessfl.config.scenario_file import Tables, from_tables, merge, read_tables
from wirelessfl.experiment import Experiment

SEEDS = (0, 1, 2)
RUN = {"small": {"rounds": 30, "eval_every": 2}, "paper": {"rounds": 100, "eval_every": 5}}
DIGITS = Path(__file__).parents[2] / "presets" / "digits.toml"
POLICIES = ("wait", "drop", "late-next-round")
TRUTH = "truth"
ESTIMATE = "estimate"
QUANTILE = "5 % quantile"
MEAN = "mean"
BELIEFS: dict[str, dict[str, Any]] = {
    TRUTH: {"csi": "perfect"},
    ESTIMATE: {"csi": "estimate", "estimate_error_db": 2.0},
    QUANTILE: {"csi": "quantile", "outage": 0.05},
    MEAN: {"csi": "mean"},
}


def label_of(belief: str, policy: str) -> str:
    """The row of a server's channel knowledge under a deadline policy."""
    return f"{belief}, {policy}"


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """Scenario S (small: the digits), once per channel knowledge, policy and seed.

    All experiments of one seed see the same channel.
    """
    base = SCENARIO_S if scale == "paper" else read_tables(DIGITS)
    planned = {}
    for belief, policy in product(BELIEFS, POLICIES):
        changes: Tables = {"channel": BELIEFS[belief], "scenario": {"deadline_policy": policy}}
        planned[label_of(belief, policy)] = [
            from_tables({**merge(base, changes), "run": {**RUN[scale], "seed": seed}})
            for seed in SEEDS
        ]
    return planned


def table(runs: Runs) -> Table:
    """Miss rate, final accuracy, simulated seconds, pruning ratio and lost updates."""
    return Table(
        tuple(
            {
                "belief, policy": label,
                "miss_rate": over_seeds(seeds, _miss_rate),
                "accuracy": over_seeds(seeds, lambda run: run.final_accuracy),
                "simulated_s": over_seeds(seeds, lambda run: float(run.series("clock_s")[-1])),
                "mean_ratio": over_seeds(seeds, mean_ratio),
                "lost_rate": over_seeds(seeds, lambda run: float(run.series("lost").mean())),
            }
            for label, seeds in runs.items()
        )
    )


def _miss_rate(run: Run) -> float:
    return float(1.0 - run.series("delivered").mean())


def _truth_never_misses(table: Table) -> Verdict:
    worst = max(
        max(table.sample(label_of(TRUTH, policy), "miss_rate").values) for policy in POLICIES
    )
    return Verdict(worst == 0.0, f"largest miss rate of any seed and policy: {worst:.4g}")


def _accuracy_falls_with_misses(table: Table) -> Verdict:
    rows = [label_of(belief, "drop") for belief in BELIEFS]
    misses = np.array([table.sample(row, "miss_rate").values for row in rows])
    accuracy = np.array([table.sample(row, "accuracy").values for row in rows])
    slope = Sample(tuple(_slope(*pair) for pair in zip(misses.T, accuracy.T, strict=True)))
    return Verdict.of(
        [slope.scaled(-1.0)], f"accuracy per miss rate, least squares over the beliefs: {slope}"
    )


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """The slope of the least-squares line; 0 when all x are equal."""
    offset = x - x.mean()
    return float(offset @ y / (offset @ offset)) if offset.any() else 0.0


CLAIMS = (
    Claim(
        "A server that knows the truth never misses, under any policy",
        _truth_never_misses,
        kind="by construction",
    ),
    Claim(
        "With the mean about half of the deadlines are missed "
        "(0.567 of Gamma(4, 1) lies below its mean)",
        within("miss_rate", label_of(MEAN, "wait"), 0.5, 0.65),
        kind="arithmetic",
    ),
    Claim(
        "An unbiased estimate misses half of them too, since every overestimate is a miss",
        within("miss_rate", label_of(ESTIMATE, "wait"), 0.4, 0.6),
        kind="arithmetic",
    ),
    Claim(
        "The 5 % quantile misses about 5 % of them",
        within("miss_rate", label_of(QUANTILE, "wait"), 0.03, 0.07),
        kind="by construction",
    ),
    Claim(
        "The quantile pays for it with more pruning than the truth",
        above("mean_ratio", label_of(QUANTILE, "drop"), label_of(TRUTH, "drop")),
        kind="by construction",
    ),
    Claim("Under drop, accuracy falls with the miss rate", _accuracy_falls_with_misses),
    Claim(
        "Under drop, the quantile is more accurate than the mean",
        above("accuracy", label_of(QUANTILE, "drop"), label_of(MEAN, "drop")),
    ),
    Claim(
        "With the mean, late updates that join the next round are better than dropped ones",
        above("accuracy", label_of(MEAN, "late-next-round"), label_of(MEAN, "drop")),
    ),
    Claim(
        "With the mean, waiting is more accurate than dropping",
        above("accuracy", label_of(MEAN, "wait"), label_of(MEAN, "drop")),
    ),
    Claim(
        "With the mean, waiting takes longer than dropping",
        above("simulated_s", label_of(MEAN, "wait"), label_of(MEAN, "drop")),
        kind="by construction",
    ),
)


def figure(runs: Runs, figure: Any) -> None:
    """(a) miss rates; (b)-(d) accuracy over simulated seconds, one panel per policy."""
    axes = panels(figure, 1 + len(POLICIES))
    _draw_miss_rates(axes[0], table(runs))
    for panel, policy, letter in zip(axes[1:], POLICIES, "bcd", strict=True):
        panel.sharey(axes[1])
        shown = {f"planned with: {belief}": runs[label_of(belief, policy)] for belief in BELIEFS}
        draw_over_time(panel, shown, "accuracy", f"({letter}) {policy}")
    legend_below(figure, axes[1])


def _draw_miss_rates(axes: Any, found: Table) -> None:
    width = 0.8 / len(BELIEFS)
    for index, belief in enumerate(BELIEFS):
        samples = [found.sample(label_of(belief, policy), "miss_rate") for policy in POLICIES]
        place = np.arange(len(POLICIES)) + (index - 0.5 * (len(BELIEFS) - 1)) * width
        errors = [sample.standard_error for sample in samples]
        axes.bar(
            place,
            [sample.mean for sample in samples],
            width,
            yerr=errors,
            color=COLOURS[index],
            capsize=2,
        )
    axes.set_xticks(range(len(POLICIES)), POLICIES)
    axes.set(ylabel="share of client-rounds", title="(a) missed deadlines", ylim=(0, 1))
    axes.grid(alpha=0.3, axis="y")
    axes.set_axisbelow(True)
