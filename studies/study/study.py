"""The interface of a study, and the settings it is run with."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from studies.report.one_run.run import Run
from studies.report.results import Claim, Experiments, Runs, Table
from studies.runner.single_run import folder_of
from studies.search.search import Search
from wirelessfl.config.scenario_file import (
    Tables,
    experiment_hash,
    from_tables,
    merge,
    parse_setting,
    to_tables,
)
from wirelessfl.errors import InputError, check_choice, check_count
from wirelessfl.experiment import Experiment

SCALES = ("small", "reduced", "paper")  # minutes; feasible on two cores; as in the paper
USUAL_SCALES = ("small", "paper")
MOST_RATES = 3  # learning rates that a headline lists


class Study(Protocol):
    """A plug-in of kind `studies`: a module with these names.

    It may also have `SCALES`, the scales it offers (default `USUAL_SCALES`), and `searches(scale)`,
    label -> `Search`: experiments of such a label run with the best settings found.

    Attributes:
        CLAIMS: Statements of the paper with their checks.
    """

    CLAIMS: tuple[Claim, ...]

    def experiments(self, scale: str) -> Experiments:
        """The experiments of a scale.

        Args:
            scale: One of the study's scales.

        Returns:
            Label -> one experiment per seed, the seeds in the same order for every label.
        """
        ...

    def table(self, runs: Runs) -> Table:
        """The results table of complete runs."""
        ...

    def figure(self, runs: Runs, figure: Any) -> None:
        """Draw the runs on an empty matplotlib figure."""
        ...


@dataclass(frozen=True)
class Setting:
    """Scale of a study, and changes to all of its experiments.

    Attributes:
        scale: One of the study's scales.
        learning_rate: Replaces the study's own learning rates, if given.
        changes: Texts `section.field=value`.
        seeds: Number of seeds of each label, if it is not the study's own.
    """

    scale: str = "small"
    learning_rate: float | None = None
    changes: tuple[str, ...] = ()
    seeds: int | None = None

    def __post_init__(self) -> None:
        if self.seeds is not None:
            check_count("--seeds", self.seeds)
        for text in self.changes:
            section, field, value = parse_setting(text)
            if (section, field) == ("run", "seed"):
                raise InputError(
                    f"--set run.seed must be left out, a study has its seeds, got {value!r}"
                )

    @property
    def options(self) -> str:
        """The command-line options of this setting."""
        rate = "" if self.learning_rate is None else f" --learning-rate {self.learning_rate:g}"
        seeds = "" if self.seeds is None else f" --seeds {self.seeds}"
        return f"--scale {self.scale}{rate}{seeds}" + "".join(
            f" --set {text}" for text in self.changes
        )

    def folder_name(self, name: str) -> str:
        """The name of the results folder of study `name`."""
        rate = "" if self.learning_rate is None else f"-learning-rate-{self.learning_rate:g}"
        seeds = "" if self.seeds is None else f"-seeds-{self.seeds}"
        return f"{name}-{self.scale}{rate}{seeds}" + "".join(
            "-" + re.sub(r"[^\w.=+]+", "-", text) for text in self.changes
        )

    def experiments(self, study: Study) -> Experiments:
        """The study's experiments under this setting.

        Args:
            study: The study.

        Returns:
            Label -> one experiment per seed.

        Raises:
            InputError: The study lacks the scale, or a change is invalid.
        """
        check_choice("--scale of this study", self.scale, scales_of(study))
        planned = self._seeded(study.experiments(self.scale))
        changes = self._tables()
        if not changes:
            return planned
        trained = any(experiment.run.train for seeds in planned.values() for experiment in seeds)
        if self.learning_rate is not None and not trained:
            raise InputError(
                f"--learning-rate {self.learning_rate:g} has no effect: this study trains nothing"
            )
        return {
            label: [from_tables(merge(to_tables(experiment), changes)) for experiment in seeds]
            for label, seeds in planned.items()
        }

    def _seeded(self, planned: Experiments) -> Experiments:
        """The first seeds, or further ones after the last, up to the number asked for."""
        if self.seeds is None:
            return planned
        return {label: _with_seeds(found, self.seeds) for label, found in planned.items()}

    def searches(self, study: Study) -> Mapping[str, Search]:
        """The study's searches under this setting.

        Args:
            study: The study.

        Returns:
            Label -> search, for some of the labels of its experiments.

        Raises:
            InputError: The study lacks the scale, or a change concerns a searched field.
        """
        check_choice("--scale of this study", self.scale, scales_of(study))
        found: Mapping[str, Search] = getattr(study, "searches", lambda scale: {})(self.scale)
        changed = {
            f"{section}.{field}" for section, table in self._tables().items() for field in table
        }
        for label, one in found.items():
            if twice := sorted(changed & set(one.space)):
                raise InputError(
                    f"{twice[0]} must be left out, the study searches it for {label!r}"
                )
        return found

    def _tables(self) -> Tables:
        tables: Tables = (
            {}
            if self.learning_rate is None
            else {"training": {"learning_rate": self.learning_rate}}
        )
        for text in self.changes:
            section, field, value = parse_setting(text)
            tables.setdefault(section, {})[field] = value
        return tables


def _with_seeds(experiments: list[Experiment], seeds: int) -> list[Experiment]:
    last = experiments[-1]
    others = [replace(one, run=replace(one.run, seed=last.run.seed)) for one in experiments]
    if any(experiment_hash(one) != experiment_hash(last) for one in others):
        raise InputError(
            f"--seeds {seeds} must be left out: runs of this study differ in more than their seed"
        )
    further = range(1, seeds - len(experiments) + 1)
    added = [replace(last, run=replace(last.run, seed=last.run.seed + more)) for more in further]
    return [*experiments, *added][:seeds]


def scales_of(study: Study) -> tuple[str, ...]:
    """The scales that a study offers."""
    offered: tuple[str, ...] = getattr(study, "SCALES", USUAL_SCALES)
    return offered


def read_runs(experiments: Experiments, root: Path) -> dict[str, list[Run]]:
    """Read the complete runs of experiments from their folders.

    Args:
        experiments: Label -> one experiment per seed.
        root: The folder of the run folders.

    Returns:
        Label -> one run per seed.
    """
    return {
        label: [Run.read(folder_of(experiment, root)) for experiment in seeds]
        for label, seeds in experiments.items()
    }


def describe(experiments: Experiments) -> Mapping[str, Any]:
    """Facts that the results of a study must state.

    Args:
        experiments: Label -> one experiment per seed.

    Returns:
        Seeds, the largest number of rounds, and the learning rates where something is trained.
    """
    every = [experiment for seeds in experiments.values() for experiment in seeds]
    rates = {
        to_tables(experiment)["training"].get("learning_rate")
        for experiment in every
        if experiment.run.train
    }
    return {
        "seeds": sorted({experiment.run.seed for experiment in every}),
        "rounds": max(experiment.run.rounds for experiment in every),
        "learning_rates": sorted(rate for rate in rates if rate is not None),
    }


def headline(name: str, setting: Setting, experiments: Experiments) -> str:
    """The title of a study's results: name, scale, rounds, seeds and learning rates."""
    facts = describe(experiments)
    found = facts["learning_rates"]
    rates = (
        ", ".join(f"{rate:g}" for rate in found)
        if len(found) <= MOST_RATES
        else f"{found[0]:g} to {found[-1]:g}"
    )
    parts = [
        f"{name}, {setting.scale} scale",
        f"{facts['rounds']} rounds",
        f"{len(facts['seeds'])} seeds",
    ]
    return ", ".join([*parts, f"learning rate {rates}"] if rates else parts)
