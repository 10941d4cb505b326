"""Random search over fields of experiments, in two stages.

Trials are ordinary runs, shared and resumed like any other, and judged by held-out rows.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from studies.report.results import Experiments
from studies.runner.budget import within_steps
from studies.runner.single_run import folder_of
from studies.search.metrics import NAMES, AnyMetric, metric_of
from studies.search.ranges import Range
from wirelessfl.border.budget import check_budget
from wirelessfl.config.scenario_file import (
    SECTIONS,
    Tables,
    experiment_hash,
    from_tables,
    merge,
    to_tables,
)
from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.experiment import Experiment
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.rng import Streams

# Experiments and a description -> the reasons by hash of those that diverged.
RunTrials = Callable[[Iterable[Experiment], str], Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search: `trials` random settings in `space`, then `second_trials` around the best of them.

    A draw is a function of (seed, stage, trial, field).

    Attributes:
        space: The range of each `section.field`.
        trials: Number of trials of the first stage.
        second_trials: Number of trials of the second stage.
        shrink: Relative width of the ranges of the second stage (logarithmic for `LogUniform`).
        seed: The seed of all trials, different from those of the repeated runs.
        metric: One of `studies.search.metrics.NAMES`.
        to_accuracy: Test accuracy in [0, 1] of the metrics `...-to-accuracy`, or None.
        evaluate_on: The rows on which trials are evaluated; None: as the experiment says.
        local_steps: Budget of local steps that decides the rounds of a run; None: as the experiment
            says.
        trial_steps: Budget of a trial, if it differs from `local_steps`.
    """

    space: Mapping[str, Range]
    trials: int = 14
    second_trials: int = 6
    shrink: float = 0.3
    seed: int = 1000
    metric: str = "accuracy"
    to_accuracy: float | None = None
    evaluate_on: str | None = "validation"
    local_steps: int | None = None
    trial_steps: int | None = None

    def __post_init__(self) -> None:
        for name in self.space:
            section, dot, key = name.partition(".")
            check_choice("--over section", section, SECTIONS)
            if not (dot and key) or name in ("run.seed", "run.rounds", "training.evaluate_on"):
                raise InputError(
                    f"--over must name a section.field that a search may change, got {name!r}"
                )
        if not self.space:
            raise InputError("--over must name at least one section.field, got none")
        check_count("--trials", self.trials)
        check_count("--second-trials", self.second_trials, at_least=0)
        runs = self.trials + self.second_trials
        asked = f"--trials {self.trials} with --second-trials {self.second_trials}"
        check_budget(asked, "runs", runs)
        check_number("--shrink", self.shrink, above=0, at_most=1)
        check_count("--seed", self.seed, at_least=0)
        check_choice("--metric", self.metric, NAMES)
        metric_of(self.metric, self.to_accuracy)

    @property
    def criterion(self) -> AnyMetric:
        """The metric by which trials are ranked."""
        return metric_of(self.metric, self.to_accuracy)

    def draw(
        self, stage: int, number: int, best: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The values of a trial.

        Args:
            stage: 1 or 2.
            number: Number of the trial within its stage, from 1.
            best: The best values of the first stage, around which the second stage draws.

        Returns:
            Field -> value.
        """
        streams = Streams(self.seed, stage)
        ranges = (
            self.space
            if best is None
            else {name: self.space[name].around(best[name], self.shrink) for name in best}
        )
        return {
            name: ranges[name].draw(streams.generator(f"search/{name}", number))
            for name in self.space
        }

    def with_values(self, experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
        """The experiment with these values, and with the rounds that fit its budget."""
        return _within(self.local_steps, _changed(experiment, values))

    def trial_of(self, experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
        """The trial that judges these values: under the search's seed, on its evaluation rows."""
        rows = {} if self.evaluate_on is None else {"training.evaluate_on": self.evaluate_on}
        steps = self.local_steps if self.trial_steps is None else self.trial_steps
        return _within(steps, _changed(experiment, {**values, **rows, "run.seed": self.seed}))

    def check(self, label: str, planned: list[Experiment]) -> None:
        """Refuse experiments that the search does not fit.

        Args:
            label: Name of the search in the message.
            planned: The experiments whose settings are searched.

        Raises:
            InputError: They have the seed of the search, or train nothing.
        """
        if self.seed in {experiment.run.seed for experiment in planned}:
            raise InputError(
                f"search {label!r}: its seed must be none of those that are repeated, "
                f"got {self.seed}"
            )
        if not all(experiment.run.train for experiment in planned):
            raise InputError(f"search {label!r}: run.train must be true, got false")


def _within(local_steps: int | None, experiment: Experiment) -> Experiment:
    return experiment if local_steps is None else within_steps(experiment, local_steps)


def _changed(experiment: Experiment, values: Mapping[str, Any]) -> Experiment:
    changes: Tables = {}
    for name, value in values.items():
        section, _, key = name.partition(".")
        changes.setdefault(section, {})[key] = value
    return from_tables(merge(to_tables(experiment), changes))


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """Settings that were tried.

    Attributes:
        label: The label of the search.
        stage: 1 or 2.
        number: Number of the trial within its stage, from 1.
        values: Field -> value.
        experiment: The run that judged them.
        score: The value of the search's metric; None if the trial was rejected.
        reason: The reason for rejection; None if the trial has a score.
    """

    label: str
    stage: int
    number: int
    values: Mapping[str, Any]
    experiment: Experiment
    score: float | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchResult:
    """The result of searches.

    Attributes:
        trials: Every trial.
        chosen: The best trial of each label.
        experiments: The planned experiments; those of searched labels with the best settings.
    """

    trials: tuple[Trial, ...]
    chosen: Mapping[str, Trial]
    experiments: Mapping[str, list[Experiment]]


def find_best(
    searches: Mapping[str, Search], planned: Experiments, root: Path, run_trials: RunTrials
) -> SearchResult:
    """Search per label, and repeat the best settings under the seeds of the plan.

    Trials that diverge are rejected, and so are settings that diverge when they are repeated, in
    favour of the next best ones.

    Args:
        searches: Label -> search.
        planned: Label -> the experiments from which the search starts, one per seed.
        root: The folder of the run folders.
        run_trials: Completes experiments, given with a description, and returns the reasons by hash
            of those that diverged.

    Returns:
        All trials, the best of each label, and the resulting experiments.

    Raises:
        InputError: All trials of a label were rejected, or a search does not fit its experiments.
    """
    for label, one in searches.items():
        one.check(label, planned[label])
    trials: list[Trial] = []
    for stage in (1, 2):
        asked = [
            trial
            for label in searches
            for trial in _asked(label, searches[label], planned, stage, trials)
        ]
        runs = [trial.experiment for trial in asked]
        diverged = run_trials(runs, f"stage {stage}") if asked else {}
        trials += [_judged(trial, searches[trial.label], root, diverged) for trial in asked]
    return repeat_best(searches, planned, trials, run_trials)


def _asked(
    label: str, one: Search, planned: Experiments, stage: int, before: list[Trial]
) -> list[Trial]:
    best = None if stage == 1 or not one.second_trials else _best(label, one, before).values
    count = one.trials if stage == 1 else one.second_trials
    drawn = [one.draw(stage, number, best) for number in range(1, count + 1)]
    return [
        Trial(
            label=label,
            stage=stage,
            number=number,
            values=values,
            experiment=one.trial_of(planned[label][0], values),
        )
        for number, values in enumerate(drawn, start=1)
    ]


def _judged(trial: Trial, one: Search, root: Path, diverged: Mapping[str, str]) -> Trial:
    reason = diverged.get(experiment_hash(trial.experiment))
    if reason is not None:
        return replace(trial, reason=reason)
    score = one.criterion.of(RunFolder(folder_of(trial.experiment, root)))
    return (
        replace(trial, score=score)
        if math.isfinite(score)
        else replace(trial, reason=f"{one.metric} is {score}")
    )


def _best(label: str, one: Search, trials: Iterable[Trial]) -> Trial:
    """The trial with the best score, the first one if several are equal."""
    mine = [trial for trial in trials if trial.label == label]
    usable = [trial for trial in mine if trial.reason is None and trial.score is not None]
    if not usable:
        raise InputError(
            f"search {label!r}: none of {len(mine)} trials can be used: {mine[0].reason}"
        )
    sign = 1.0 if one.criterion.larger else -1.0
    return max(usable, key=lambda trial: sign * (trial.score or 0.0))


def repeat_best(
    searches: Mapping[str, Search],
    planned: Experiments,
    trials: list[Trial],
    run_trials: RunTrials,
) -> SearchResult:
    """Repeat the best settings of each label under the seeds of the plan.

    Args:
        searches: Label -> search.
        planned: Label -> the experiments from which the search started, one per seed.
        trials: The judged trials.
        run_trials: Completes experiments, see `find_best`.

    Returns:
        The trials, the best of each label that does not diverge, and the resulting experiments.

    Raises:
        InputError: No trial of a label is left.
    """
    while True:
        chosen = {label: _best(label, one, trials) for label, one in searches.items()}
        repeats = {
            label: [
                one.with_values(experiment, chosen[label].values) for experiment in planned[label]
            ]
            for label, one in searches.items()
        }
        diverged = run_trials(
            [experiment for seeds in repeats.values() for experiment in seeds], "the best again"
        )
        rejected: dict[Trial, str] = {}
        for label, seeds in repeats.items():
            for experiment in seeds:
                reason = diverged.get(experiment_hash(experiment))
                if reason is not None:
                    seed = experiment.run.seed
                    rejected[chosen[label]] = f"when repeated with seed {seed}: {reason}"
        if not rejected:
            return SearchResult(
                trials=tuple(trials), chosen=chosen, experiments={**planned, **repeats}
            )
        trials = [
            replace(trial, reason=rejected[trial]) if trial in rejected else trial
            for trial in trials
        ]
