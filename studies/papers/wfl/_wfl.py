"""What the studies of [WFL] share: scenario S, its schemes, and experiments over seeds."""

from collections.abc import Mapping
from typing import Any

from studies.report.results import Run, Runs, Sample, over_seeds
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

# The common ratio is the reading of Equal Resource Pruning, and 45 ms that of "FL in [14]", under
# which Table I holds.
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
    """Scenario S changed by every scheme, once per seed of `scale`; `run` sets further fields of
    section run.
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


def share_of(runs: list[Run], reference: list[Run]) -> Sample:
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


def rounds_to_common_accuracy(runs: Runs) -> dict[str, Sample]:
    """Rounds until the accuracy that every label of a seed reaches in the end: the lowest of their
    final ones.
    """
    seeds = range(len(next(iter(runs.values()))))
    targets = [min(runs[label][seed].final_accuracy for label in runs) for seed in seeds]
    return {
        label: Sample(
            tuple(
                _first_round(run, target) for run, target in zip(runs[label], targets, strict=True)
            )
        )
        for label in runs
    }


def _first_round(run: Run, target: float) -> float:
    return float((run.series("accuracy") >= target).argmax() + 1)
