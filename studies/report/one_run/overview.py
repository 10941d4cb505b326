"""A run in a few words: origin and outcome."""

import numpy as np

from studies.report.one_run.fairness import Fairness
from studies.report.one_run.recorded import Recorded
from studies.report.scores import score_name
from wirelessfl.config.scenario_file import to_tables
from wirelessfl.errors import InputError


def overview(run: Recorded) -> dict[str, str]:
    """Origin and outcome of a run.

    Args:
        run: A run; of records from elsewhere only the outcome is known.

    Returns:
        Quantity -> value with its unit.
    """
    rounds = len(run)
    try:
        tables = to_tables(run.experiment)
    except InputError:  # records from elsewhere, or a plug-in of another process
        return {"Run": "records alone", "rounds": str(rounds), **_outcome(run, "accuracy")}
    training = tables["training"]
    names = [training["algorithm"], training.get("model"), training.get("dataset")]
    planned = tables["run"]["rounds"]
    end = f" ({run.stopped})" if rounds < planned and run.stopped else ""
    found = {
        "Run": ", ".join(name for name in names if name),
        "clients": str(tables["scenario"]["clients"]),
        "rounds": (str(rounds) if rounds == planned else f"{rounds} of {planned}") + end,
        **_outcome(run, score_name(training)),
    }
    return found if run.folder is None else {**found, "folder": run.folder.label}


def _outcome(run: Recorded, score: str) -> dict[str, str]:
    """Outcome of a run with at least one round."""
    if not len(run):
        return {}
    accuracy = run.series("accuracy")
    evaluated = accuracy[~np.isnan(accuracy)]
    found: dict[str, str] = {}
    if evaluated.size:
        found[f"{score}, last / best"] = f"{evaluated[-1]:.2%} / {evaluated.max():.2%}"
    rows = [] if run.folder is None else run.folder.rows("accuracy")
    if rows:
        last = Fairness.of(rows[-1]["accuracy"])
        found["worst 10 % of clients / deviation"] = (
            f"{last.worst_tenth:.2%} / {last.standard_deviation:.2%}"
        )
    return found | {
        "simulated time": f"{run.series('clock_s')[-1]:.4g} s",
        "kept model": f"{1 - run.series('pruning_ratio').mean():.1%}",
        "deadline misses": f"{1 - run.series('delivered').mean():.1%} of client-rounds",
        "uplink": f"{run.series('uplink_bits').sum() / 1e6:.4g} Mbit",
        "energy": f"{run.series('energy_j').sum():.4g} J",
    }
