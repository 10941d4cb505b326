"""Measures of a complete run, as a sweep reports them."""

from collections.abc import Callable, Mapping

import numpy as np

from studies.report.one_run.run import Run
from studies.report.results import Sample
from studies.report.summaries import best_accuracy, first_index, mean_of_last
from studies.report.unserved import unserved
from wirelessfl.experiment import Experiment


def measured(run: Run, to_accuracy: float | None) -> dict[str, float]:
    """All measures of a run.

    Args:
        run: A complete run.
        to_accuracy: Test accuracy in [0, 1] (R² of a regression) to reach, or None.

    Returns:
        Measure -> value; accuracies and what it takes to reach one only for runs with training,
        NaN where the accuracy is never reached.
    """
    found: dict[str, float] = {}
    if run.experiment.run.train:
        found["accuracy"] = mean_of_last(run, 1)
        found["best_accuracy"] = best_accuracy(run)
        if to_accuracy is not None:
            found |= _to_accuracy(run, to_accuracy)
    return found | radio_measures(run.experiment, run)


def radio_measures(experiment: Experiment, run: Run) -> dict[str, float]:
    """The measures of cell and radio, which need no training.

    Args:
        experiment: The experiment, for its deadline and its cap.
        run: Its records.

    Returns:
        Measure -> value.
    """
    counts = unserved(experiment, run)
    return {
        **{name: measure(run) for name, measure in RADIO.items()},
        "infeasible": counts["infeasible_per_round"],
        "late": counts["late_per_round"],
        "starved": counts["left_out_per_round"],
    }


def _to_accuracy(run: Run, target: float) -> dict[str, float]:
    index = first_index(run, target)
    if index is None:
        return dict.fromkeys(("seconds_to", "megabits_to", "joules_to"), np.nan) | {"reached": 0.0}
    bits = run.series("uplink_bits").sum(axis=1)[: index + 1].sum()
    energy_j = run.series("energy_j").sum(axis=1)[: index + 1].sum()
    return {
        "seconds_to": float(run.series("clock_s")[index]),
        "megabits_to": float(bits / 1e6),
        "joules_to": float(energy_j),
        "reached": 1.0,
    }


RADIO: Mapping[str, Callable[[Run], float]] = {
    "kept_model": lambda run: float(1 - run.series("pruning_ratio").mean()),
    "pruning_ratio": lambda run: float(run.series("pruning_ratio").mean()),
    "round_s": lambda run: float(run.series("round_s").mean()),
    "miss_rate": lambda run: float(1 - run.series("delivered").mean()),
    "energy_j": lambda run: float(run.series("energy_j").sum(axis=1).mean()),
    "uplink_mbit": lambda run: float(run.series("uplink_bits").sum(axis=1).mean() / 1e6),
}

# Measure -> heading with unit, factor from the measure to what is shown.
SHOWN: Mapping[str, tuple[str, float]] = {
    "accuracy": ("test accuracy (%)", 100.0),
    "best_accuracy": ("best test accuracy (%)", 100.0),
    "seconds_to": ("time to accuracy (s)", 1.0),
    "megabits_to": ("uplink to accuracy (Mbit)", 1.0),
    "joules_to": ("energy to accuracy (J)", 1.0),
    "reached": ("seeds that reach it (%)", 100.0),
    "kept_model": ("kept model (%)", 100.0),
    "pruning_ratio": ("mean pruning ratio", 1.0),
    "round_s": ("round length (ms)", 1e3),
    "miss_rate": ("miss rate (%)", 100.0),
    "infeasible": ("infeasible clients per round", 1.0),
    "late": ("late clients per round", 1.0),
    "starved": ("starved clients per round", 1.0),
    "energy_j": ("energy per round (J)", 1.0),
    "uplink_mbit": ("uplink per round (Mbit)", 1.0),
}


def cell_text(sample: Sample | None, name: str) -> str:
    """A measure of a point as text.

    Args:
        sample: The measure over seeds; None where a run is missing or never reaches the accuracy.
        name: The measure.

    Returns:
        Mean and standard error in the unit of `SHOWN`; `-` for None.
    """
    if sample is None:
        return "-"
    factor = SHOWN[name][1]
    return str(Sample(tuple(factor * value for value in sample.values)))
