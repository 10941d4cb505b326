"""Scenario S of [WFL], its schemes, and its experiments over seeds."""

from collections.abc import Mapping
from typing import Any

from studies.report.one_run.run import Run
from studies.report.results import Sample, over_seeds
from wirelessfl.config.scenario_file import Tables, from_tables, merge
from wirelessfl.experiment import Experiment

SEEDS = {"small": (0, 1), "paper": (0, 1, 2)}
ROUNDS = {"small": 20, "paper": 200}

# The values of Section IV, and where the paper prints none those calibrated to its Table I (fields
# at their default).
SCENARIO_S: Tables = {
    "scenario": {"clients": 10, "deadline_s": 0.025},
    "channel": {"model": "rayleigh"},
    "allocation": {"method": "exact", "max_pruning_ratio": 0.95},
    "training": {
        "algorithm": "fedalt",
        "dataset": "fashion-mnist",
        "model": "mnist-cnn",
        "partition": "labels",
        "labels_per_client": 2,
        "batch_size": 128,
        "learning_rate": 0.001,
    },
}

PROPOSED = "Proposed"
EQUAL_PRUNING = "Equal resource pruning"
ONLY_PERSONALISATION = "Only personalisation"
PRUNING_ONLY = "Pruning only [14]"

# Readings under which Table I holds: a common ratio for Equal Resource Pruning, 45 ms for "FL in
# [14]".
SCHEMES: Mapping[str, Tables] = {
    PROPOSED: {},
    EQUAL_PRUNING: {"allocation": {"method": "equal-common"}},
    ONLY_PERSONALISATION: {
        "allocation": {"method": "min-latency", "pruning_ratio": 0.0},
        "training": {"importance_steps": 0},
    },
    PRUNING_ONLY: {"scenario": {"deadline_s": 0.045}, "training": {"algorithm": "pruning-only"}},
}


def over_schemes(
    schemes: Mapping[str, Tables], scale: str, **run: Any
) -> dict[str, list[Experiment]]:
    """The experiments of scenario S under every scheme.

    Args:
        schemes: Label -> the sections that the scheme changes.
        scale: The scale, which selects rounds and seeds.
        run: Further fields of section run.

    Returns:
        Label -> one experiment per seed.
    """
    settings = {"rounds": ROUNDS[scale], "eval_every": 5, "checkpoint_every": 5, **run}
    return {
        label: [
            from_tables({**merge(SCENARIO_S, changes), "run": {**settings, "seed": seed}})
            for seed in SEEDS[scale]
        ]
        for label, changes in schemes.items()
    }


def mean_ratio(run: Run) -> float:
    """Mean pruning ratio over rounds and clients."""
    return float(run.series("pruning_ratio").mean())


def relative_weights(runs: list[Run], reference: list[Run]) -> Sample:
    """Weights delivered, relative to those of `reference` under the same seed."""
    pairs = zip(runs, reference, strict=True)
    return Sample(tuple(run.delivered_weights / other.delivered_weights for run, other in pairs))


def learning_cells(runs: list[Run]) -> dict[str, Sample]:
    """The columns of every study that trains: loss, accuracy and mean pruning ratio."""
    return {
        "loss": over_seeds(runs, lambda run: run.final_loss),
        "accuracy": over_seeds(runs, lambda run: run.final_accuracy),
        "mean_ratio": over_seeds(runs, mean_ratio),
    }
