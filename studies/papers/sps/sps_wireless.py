"""Sparse-ProxSkip under a deadline: K_i from the allocation, one K for all, or dense uploads.

This study extends the paper: [SPS] fixes K. Here client i sends floor((1 - rho_i) d) weights with
the ratio rho_i of the round's allocation. Bits shrink with the ratio, computation does not, and the
computation time of a round is random: its number of local steps is geometric with mean 1 / p, so
that a long round leaves less of the deadline for transmission. Logistic regression of 20 of MNIST's
writers, in place of FEMNIST's. The evaluated model keeps 40 % of its weights, independent of the
uploads: about the mean fraction that the allocation lets clients send, and the one K of the others.
With `--set training.sparsity=0.9` both are a tenth, and the deadline allows more weights than the
model keeps.

An allocation that must serve all clients leaves some a negligible upload. Such uploads have the
same weight in the mean as others and draw it towards 0; a variant therefore excludes clients that
would have to prune more than 80 %. That variant and the last three claims were added after the
first runs.
"""

from typing import Any

import numpy as np

from studies.papers.sps._sps import SPARSE_PROXSKIP
from studies.papers.sps._sps_writers import RATES, TASK, data_of
from studies.report.claims import Check, above, within
from studies.report.curves import COLOURS, draw_over_time, legend_below, panels
from studies.report.one_run.run import Run
from studies.report.results import Cell, Claim, Runs, Sample, Table, Verdict, over_seeds
from studies.report.summaries import common_accuracy, until_accuracy
from wirelessfl.cell import closed_form as formula
from wirelessfl.config.scenario_file import Tables, from_tables, merge
from wirelessfl.experiment import Experiment

ALLOCATED = "K of each, best bands"
EQUAL_BANDS = "K of each, equal bands"
SELECTED = "K of each, as many as fit"
SAME_STEPS = "K of each, ten steps in every round"
FIXED = "one K, equal bands"
FIXED_SELECTED = "one K, as many as fit"
FIXED_WAITS = "one K, waits for all"
DENSE = "dense, waits for all"
WAITING = (FIXED_WAITS, DENSE)

CLIENTS = 20
SPARSITY = 0.6
# A local step takes 0.94 ms, ten of them about half of the deadline; dense uploads of all would
# take 45 ms.
DEADLINE_S = 0.02
PROBABILITY = 0.1
CYCLES_PER_WEIGHT = 360.0  # of a step: 6 operations for each of 111 samples, about two a cycle
ROUNDS = {"small": 60, "paper": 1000}
SEEDS = {"small": (0, 1, 2), "paper": (0, 1, 2, 3, 4)}
CAP = 0.99
SELECTED_CAP = 0.8  # clients that would have to prune more are excluded

_FROM_ALLOCATION: Tables = {
    "allocation": {"method": "exact", "max_pruning_ratio": CAP},
    "training": {"sparsity_from": "allocation"},
}
_WAITS: Tables = {"scenario": {"deadline_policy": "wait"}, "allocation": {"method": "min-latency"}}
VARIANTS: dict[str, Tables] = {
    ALLOCATED: _FROM_ALLOCATION,
    EQUAL_BANDS: merge(_FROM_ALLOCATION, {"allocation": {"method": "equal"}}),
    SELECTED: merge(
        _FROM_ALLOCATION, {"allocation": {"method": "select", "max_pruning_ratio": SELECTED_CAP}}
    ),
    SAME_STEPS: merge(_FROM_ALLOCATION, {"training": {"coin": "fixed"}}),
    FIXED: {"allocation": {"method": "fixed-ratio"}},
    FIXED_SELECTED: {"allocation": {"method": "select"}},
    FIXED_WAITS: _WAITS,
    DENSE: merge(_WAITS, {"training": {"algorithm": "final-topk"}}),
}


def experiments(scale: str) -> dict[str, list[Experiment]]:
    """All variants under the same Rayleigh fading and the same coin.

    Late updates are dropped, except in the variants that wait.
    """
    cell: Tables = {
        "scenario": {
            "clients": CLIENTS,
            "deadline_s": DEADLINE_S,
            "deadline_policy": "drop",
            "cycles_per_weight": CYCLES_PER_WEIGHT,
        },
        "channel": {"model": "rayleigh"},
        "training": {
            **TASK,
            "algorithm": "sparse-proxskip",
            "sparsity": SPARSITY,
            "learning_rate": RATES[SPARSE_PROXSKIP],
            "probability": PROBABILITY,
        },
        "run": {"rounds": ROUNDS[scale], "eval_every": 1, "checkpoint_every": 20},
    }
    return {
        label: [
            from_tables(merge(merge(cell, changes), {"run": {"seed": seed}}))
            for seed in SEEDS[scale]
        ]
        for label, changes in VARIANTS.items()
    }


def _arrived(run: Run, label: str) -> Any:
    """Bits of the updates that entered the aggregation, (rounds, K)."""
    return run.series("uplink_bits") * (1.0 if label in WAITING else run.series("delivered"))


def _computing_s(run: Run) -> Any:
    """Computation time of the slowest client in every round, (rounds,)."""
    scenario = run.experiment.scenario
    algorithm = run.algorithm
    expected_s = formula.compute_s(scenario, algorithm.demand(scenario.clients).fixed_updates).max()
    return run.series("extra.local_steps") * expected_s / algorithm.descent.expected_steps


def _with_steps(run: Run) -> float:
    """Correlation over rounds of local steps and mean ratio; 0 where one of them is constant."""
    steps = run.series("extra.local_steps")
    ratio = run.series("pruning_ratio").mean(axis=1)
    return (
        float(np.corrcoef(steps, ratio)[0, 1]) if np.ptp(steps) > 0 and np.ptp(ratio) > 0 else 0.0
    )


def _in_time(run: Run, seconds: float) -> float:
    """The last accuracy measured within `seconds`, or the first one if none was."""
    accuracy = run.series("accuracy")
    clock_s = run.series("clock_s")
    measured = np.flatnonzero(~np.isnan(accuracy))
    before = measured[clock_s[measured] <= seconds]
    return float(accuracy[before[-1] if before.size else measured[0]])


def table(runs: Runs) -> Table:
    """Accuracy at the end and after the shortest run of a seed, misses, ratios, bits, seconds."""
    by_seed = zip(*runs.values(), strict=True)
    ends = [min(float(run.series("clock_s")[-1]) for run in same) for same in by_seed]
    targets = common_accuracy(runs.values(), last=1)
    rows: list[dict[str, Cell]] = []
    for label, seeds in runs.items():
        missed = [float((_arrived(run, label) == 0).mean()) for run in seeds]
        too_long = [
            float((_computing_s(run) > run.experiment.scenario.deadline_s).mean()) for run in seeds
        ]
        rows.append(
            {
                "variant": label,
                "data": data_of(seeds),
                "accuracy": over_seeds(seeds, lambda run: run.final_accuracy),
                "accuracy_in_common_time": Sample(
                    tuple(_in_time(run, end) for run, end in zip(seeds, ends, strict=True))
                ),
                "to_common_accuracy_s": until_accuracy(seeds, targets, "clock_s"),
                "missed": Sample(tuple(missed)),
                "rounds_too_long": Sample(tuple(too_long)),
                "mean_ratio": over_seeds(
                    seeds, lambda run: float(run.series("pruning_ratio").mean())
                ),
                "ratio_with_steps": over_seeds(seeds, _with_steps),
                "kilobits": over_seeds(
                    seeds, lambda run: float(run.series("uplink_bits").mean() / 1e3)
                ),
                "round_s": over_seeds(seeds, lambda run: float(run.series("round_s").mean())),
            }
        )
    return Table(tuple(rows))


def _only_too_long(table: Table) -> Verdict:
    missed, too_long = (table.sample(ALLOCATED, column) for column in ("missed", "rounds_too_long"))
    excess = missed - too_long
    return Verdict(
        max(abs(value) for value in excess.values) < 1e-9,
        f"client-rounds without an update: {missed}, "
        f"rounds that compute longer than the deadline: {too_long}",
    )


def _never(label: str) -> Check:
    def check(table: Table) -> Verdict:
        missed = table.sample(label, "missed")
        return Verdict(max(missed.values) == 0.0, f"client-rounds without an update: {missed}")

    return check


def _as_accurate(table: Table) -> Verdict:
    one = (FIXED, FIXED_SELECTED, FIXED_WAITS)
    best = max(one, key=lambda label: table.sample(label, "accuracy_in_common_time").mean)
    return above("accuracy_in_common_time", SELECTED, best)(table)


CLAIMS = (
    Claim(
        "K of each only misses rounds that compute longer than the deadline",
        _only_too_long,
        kind="by construction",
    ),
    Claim(
        "With as many steps in every round it never misses one",
        _never(SAME_STEPS),
        kind="by construction",
    ),
    Claim(
        "The longer a round computes the fewer weights it sends",
        within("ratio_with_steps", ALLOCATED, 0.5, 1.0),
        kind="by construction",
    ),
    Claim(
        "The best bands prune less than equal ones",
        above("mean_ratio", EQUAL_BANDS, ALLOCATED),
        kind="by construction",
    ),
    Claim("One K on equal bands misses more client-rounds", above("missed", FIXED, ALLOCATED)),
    Claim(
        "K of each is sooner than dense uploads", above("to_common_accuracy_s", DENSE, ALLOCATED)
    ),
    Claim(
        "It is sooner than one K for which all wait",
        above("to_common_accuracy_s", FIXED_WAITS, ALLOCATED),
    ),
    Claim(
        "In the same time it is more accurate than dense",
        above("accuracy_in_common_time", ALLOCATED, DENSE),
    ),
    Claim(
        "Than one K for which all wait", above("accuracy_in_common_time", ALLOCATED, FIXED_WAITS)
    ),
    Claim("Than one K on equal bands", above("accuracy_in_common_time", ALLOCATED, FIXED)),
    Claim(
        "Than one K of as many as fit", above("accuracy_in_common_time", ALLOCATED, FIXED_SELECTED)
    ),
    Claim(
        "A random number of steps is more accurate than a fixed one",
        above("accuracy", ALLOCATED, SAME_STEPS),
    ),
    Claim(
        "Clients that can send next to nothing are better omitted",
        above("accuracy", SELECTED, ALLOCATED),
    ),
    Claim(
        "K of as many as fit is sooner than dense uploads",
        above("to_common_accuracy_s", DENSE, SELECTED),
    ),
    Claim("In the same time it is more accurate than one K, on any bands", _as_accurate),
)


def figure(runs: Runs, figure: Any) -> None:
    """(a) accuracy over simulated seconds; (b) mean ratio over the steps of a round."""
    axes = panels(figure, 2)
    figure.set_size_inches(11.0, 4.6)
    drawn = {
        label: runs[label]
        for label in (ALLOCATED, EQUAL_BANDS, SELECTED, SAME_STEPS, FIXED_WAITS, DENSE)
    }
    draw_over_time(axes[0], drawn, "accuracy", f"(a) {data_of(runs[ALLOCATED])}")
    axes[0].set_xlim(
        0,
        1.05 * max(float(run.series("clock_s")[-1]) for run in runs[FIXED_WAITS] + runs[ALLOCATED]),
    )
    for label, marker in ((ALLOCATED, "o"), (EQUAL_BANDS, "x"), (SAME_STEPS, "s")):
        steps = np.concatenate([run.series("extra.local_steps") for run in runs[label]])
        ratio = np.concatenate([run.series("pruning_ratio").mean(axis=1) for run in runs[label]])
        axes[1].plot(
            steps, ratio, marker, markersize=3, alpha=0.6, color=COLOURS[list(drawn).index(label)]
        )
    axes[1].set(
        xlabel="local steps of the round",
        ylabel="mean pruning ratio",
        title="(b) bits give way to computing",
    )
    axes[1].grid(alpha=0.3)
    legend_below(figure, axes[0])
