"""Cost of presets and studies: runs, rounds and data sets."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from studies.presets import scenario_tables
from studies.study.study import scales_of
from wirelessfl import plugins
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.experiment import Experiment

FILE = Path(__file__).with_name("costs.toml")  # study -> scale -> cost; takes seconds to compute


def cost_of(experiments: Iterable[Experiment]) -> str:
    """Number of runs and rounds, and the data sets of runs that train.

    Args:
        experiments: The experiments.

    Returns:
        Text such as `12 runs, 2,400 rounds, fashion-mnist`.
    """
    every = list(experiments)
    trained = {_dataset(one) for one in every if one.run.train}
    count = f"{len(every)} run{'s' * (len(every) != 1)}"
    rounds = f"{sum(one.run.rounds for one in every):,} rounds"
    return ", ".join([count, rounds, *(sorted(trained) or ["no training"])])


def _dataset(experiment: Experiment) -> str:
    algorithm: Any = experiment.algorithm
    task = getattr(algorithm, "task", None)
    return str(getattr(task, "dataset", None) or getattr(algorithm, "dataset", "own data"))


def preset_cost(name: str) -> str:
    """Cost of a run of a preset or scenario file."""
    return cost_of([from_tables(scenario_tables(name))])


def computed_costs(name: str) -> dict[str, str]:
    """Cost of a study at each of its scales.

    Args:
        name: Name of the study.

    Returns:
        Scale -> cost; the trials of a search come in addition and are named.
    """
    study = plugins.load("studies", name)
    found = {}
    for scale in scales_of(study):
        planned = study.experiments(scale)
        searches: Mapping[str, Any] = getattr(study, "searches", lambda scale: {})(scale)
        trials = sum(one.trials + one.second_trials for one in searches.values())
        cost = cost_of(experiment for seeds in planned.values() for experiment in seeds)
        found[scale] = cost + (f", {trials} trials before them" if trials else "")
    return found


def study_costs(name: str) -> dict[str, str]:
    """Cost of a study at each of its scales, from the file of the project where it is listed."""
    known: dict[str, dict[str, str]] = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return known[name] if name in known else computed_costs(name)


def costs_file() -> str:
    """Content of the file with the costs of all studies of the project."""
    header = "# Cost of the studies by scale; written by `python -m studies.study.costs`.\n\n"
    return header + tomli_w.dumps({name: computed_costs(name) for name in plugins.names("studies")})


if __name__ == "__main__":
    FILE.write_text(costs_file(), encoding="utf-8")
