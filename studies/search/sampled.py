"""Search by a sampler of Optuna, with trials that are pruned by rounds."""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from studies.runner.single_run import folder_of
from studies.search.metrics import AnyMetric, Constraint, metric_of
from studies.search.ranges import DIGITS, Choice, LogUniform, Range
from studies.search.search import RunTrials, Search, SearchResult, Trial, repeat_best
from wirelessfl.border.extras import needs_extra
from wirelessfl.config.scenario_file import experiment_hash, to_toml
from wirelessfl.errors import InputError, check_choice
from wirelessfl.experiment import Experiment
from wirelessfl.records.run_folder import RunFolder, write_atomically

SAMPLERS = ("tpe", "random", "grid", "nsga2")
PRUNERS = ("none", "median", "halving", "hyperband")
RUNGS = (9, 3)  # a trial is judged after these fractions 1/n of its rounds, then at its end
GRID_POINTS = 5  # of a range
LARGEST = 1e12  # excess of a metric that a run does not have


@dataclass(frozen=True, kw_only=True)
class SampledSearch:
    """A search whose trials are proposed by a sampler of Optuna.

    Attributes:
        search: Space, seed, metric, evaluation rows and number of trials.
        sampler: One of `SAMPLERS`.
        pruner: One of `PRUNERS`.
        second_metric: A further metric, for the sampler nsga2; None: one metric.
        constraints: Limits of metrics, which the samplers tpe and nsga2 regard.
        storage: Journal file that several processes and machines may share, or None.
        batch: Number of trials that are proposed together.

    Raises:
        InputError: A choice is unknown, or choices do not go together.
    """

    search: Search
    sampler: str = "tpe"
    pruner: str = "none"
    second_metric: str | None = None
    constraints: tuple[Constraint, ...] = ()
    storage: Path | None = None
    batch: int = 1

    def __post_init__(self) -> None:
        check_choice("--sampler", self.sampler, SAMPLERS)
        check_choice("--pruner", self.pruner, PRUNERS)
        if self.second_metric is not None and self.sampler != "nsga2":
            raise InputError(
                f"--metric must be given once with --sampler {self.sampler}, got it twice"
            )
        if self.second_metric is not None and self.pruner != "none":
            raise InputError(f"--pruner must be none with two metrics, got {self.pruner!r}")
        if self.constraints and self.sampler not in ("tpe", "nsga2"):
            raise InputError(f"--constraint needs --sampler tpe or nsga2, got {self.sampler!r}")
        for metric in self.names:
            metric_of(metric, self.search.to_accuracy)
        for constraint in self.constraints:
            metric_of(constraint.name, self.search.to_accuracy)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return (self.search.metric, *([self.second_metric] if self.second_metric else []))

    @property
    def metrics(self) -> tuple[AnyMetric, ...]:
        """The metrics."""
        return tuple(metric_of(name, self.search.to_accuracy) for name in self.names)


@dataclass(frozen=True, eq=False)
class SampledResult:
    """The result of a sampled search.

    Attributes:
        found: Trials, the best one and its repetitions.
        importance: Field -> fraction of the variance of the metric that it explains; empty where
            there are too few trials.
        front: Numbers of the trials that no other one beats in all metrics.
        values: Number of a complete trial -> its metrics.
    """

    found: SearchResult
    importance: Mapping[str, float]
    front: tuple[int, ...]
    values: Mapping[int, tuple[float, ...]]


def sample_best(
    label: str,
    one: SampledSearch,
    planned: list[Experiment],
    root: Path,
    run_trials: RunTrials,
) -> SampledResult:
    """Search, and repeat the best settings under the seeds of the plan.

    Args:
        label: Name of the search.
        one: The search.
        planned: The experiments from which it starts, one per seed.
        root: The folder of the run folders.
        run_trials: Completes experiments, see `find_best`.

    Returns:
        The trials, the best one, and the importance of the fields.

    Raises:
        InputError: Optuna is missing, or all trials were rejected.
    """
    with needs_extra("search", "--sampler"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    one.search.check(label, planned)
    study = _study(one, planned[0])
    states = optuna.trial.TrialState
    ended = (states.COMPLETE, states.PRUNED, states.FAIL)
    wanted = _enqueued(study, one) if one.sampler == "grid" else one.search.trials
    while (left := wanted - len(study.get_trials(False, ended))) > 0:
        asked = [study.ask() for _ in range(min(one.batch, left))]
        _run_batch(study, one, planned[0], asked, root, run_trials)
    trials = [_trial_of(label, one, planned[0], trial) for trial in study.get_trials(False, ended)]
    found = repeat_best({label: one.search}, {label: planned}, trials, run_trials)
    complete = [trial for trial in study.get_trials(False, (states.COMPLETE,))]
    return SampledResult(
        found,
        _importance(study, len(complete), len(one.names)),
        tuple(trial.number + 1 for trial in study.best_trials) if complete else (),
        {trial.number + 1: tuple(trial.values) for trial in complete},
    )


def _study(one: SampledSearch, first: Experiment) -> Any:
    import optuna

    storage = None
    if one.storage is not None:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

        file = str(one.storage)
        one.storage.parent.mkdir(parents=True, exist_ok=True)
        storage = JournalStorage(JournalFileBackend(file, lock_obj=JournalFileOpenLock(file)))
    space = {name: str(where) for name, where in one.search.space.items()}
    identity = [space, one.names, experiment_hash(first), one.search.evaluate_on, one.sampler]
    return optuna.create_study(
        study_name=hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12],
        storage=storage,
        sampler=_sampler(one),
        pruner=_pruner(one),
        directions=["maximize" if metric.larger else "minimize" for metric in one.metrics],
        load_if_exists=True,
    )


def _sampler(one: SampledSearch) -> Any:
    from optuna import samplers

    seed = one.search.seed
    if one.sampler in ("random", "grid"):  # the points of a grid are given
        return samplers.RandomSampler(seed=seed)
    if one.sampler == "nsga2":
        return samplers.NSGAIISampler(seed=seed)
    return samplers.TPESampler(seed=seed, constant_liar=True)


def _pruner(one: SampledSearch) -> Any:
    from optuna import pruners

    if one.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=2)
    if one.pruner == "halving":
        return pruners.SuccessiveHalvingPruner(reduction_factor=3)
    if one.pruner == "hyperband":
        return pruners.HyperbandPruner(reduction_factor=3)
    return pruners.NopPruner()


def _enqueued(study: Any, one: SampledSearch) -> int:
    """Give the points of the grid to a new study; returns the number of trials."""
    space = {name: _grid(where) for name, where in one.search.space.items()}
    points = list(product(*space.values()))[: one.search.trials]
    if not study.get_trials(False):
        for point in points:
            study.enqueue_trial(dict(zip(space, point, strict=True)))
    return len(points)


def _grid(where: Range) -> list[Any]:
    if isinstance(where, Choice):
        return list(where.values)
    import numpy as np

    space = np.geomspace if isinstance(where, LogUniform) else np.linspace
    low, high = (getattr(where, end) for end in ("low", "high"))
    return [float(f"{value:.{DIGITS}g}") for value in space(low, high, GRID_POINTS)]


def _suggested(trial: Any, one: SampledSearch) -> dict[str, Any]:
    """The values of a trial, rounded like the draws of the random search."""
    found: dict[str, Any] = {}
    for name, where in one.search.space.items():
        if isinstance(where, Choice):
            found[name] = trial.suggest_categorical(name, where.values)
        else:
            low, high = (getattr(where, end) for end in ("low", "high"))
            value = trial.suggest_float(name, low, high, log=isinstance(where, LogUniform))
            found[name] = min(max(float(f"{value:.{DIGITS}g}"), low), high)
    return found


def _run_batch(
    study: Any,
    one: SampledSearch,
    first: Experiment,
    asked: Sequence[Any],
    root: Path,
    run_trials: RunTrials,
) -> None:
    """Run some trials rung by rung, and report them."""
    import optuna

    states = optuna.trial.TrialState
    alive: dict[Any, Experiment] = {}
    for trial in asked:
        try:
            values = _suggested(trial, one)
            trial.set_user_attr("values", values)
            alive[trial] = one.search.trial_of(first, values)
        except InputError as error:
            _reject(study, trial, str(error), states.FAIL)
    before: dict[Any, Experiment] = {}
    for part in (*(RUNGS if one.pruner != "none" else ()), 1):
        lengths = {trial: _shortened(whole, part) for trial, whole in alive.items()}
        for trial, short in lengths.items():
            if trial in before:
                _extend(before[trial], short, root)
        diverged = run_trials(lengths.values(), f"trials at 1/{part} of their rounds")
        for trial, short in lengths.items():
            reason = diverged.get(experiment_hash(short))
            folder = RunFolder(folder_of(short, root))
            if reason is not None:
                del alive[trial]
                _reject(study, trial, reason, states.FAIL)
            elif part == 1:
                _tell(study, one, trial, folder)
            elif not math.isnan(value := one.metrics[0].of(folder)):
                trial.report(value, short.run.rounds)
                if trial.should_prune():
                    del alive[trial]
                    text = f"pruned after {short.run.rounds} rounds"
                    _reject(study, trial, text, states.PRUNED)
        before = lengths


def _shortened(experiment: Experiment, part: int) -> Experiment:
    rounds = max(1, experiment.run.rounds // part)
    return replace(experiment, run=replace(experiment.run, rounds=rounds))


def _extend(before: Experiment, after: Experiment, root: Path) -> None:
    """Let a longer run go on where a shorter one has ended."""
    source, target = folder_of(before, root), folder_of(after, root)
    if before.run.rounds < after.run.rounds and source.exists() and not target.exists():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("plots", ".*"))
        (target / "plots").mkdir()
        folder = RunFolder(target)
        folder.clear_summary()
        write_atomically(folder.experiment_file, to_toml(after, folder=target).encode())


def _reject(study: Any, trial: Any, reason: str, state: Any) -> None:
    trial.set_user_attr("reason", reason)
    study.tell(trial, state=state)


def _tell(study: Any, one: SampledSearch, trial: Any, folder: RunFolder) -> None:
    import optuna

    values = [metric.of(folder) for metric in one.metrics]
    unusable = [name for name, value in zip(one.names, values, strict=True) if math.isnan(value)]
    if unusable:
        _reject(study, trial, f"{unusable[0]} is nan", optuna.trial.TrialState.FAIL)
        return
    excess = [limit.excess(folder, one.search.to_accuracy) for limit in one.constraints]
    for number, by in enumerate(excess):
        trial.set_constraint(f"{number} {one.constraints[number].name}", min(by, LARGEST))
    broken = [limit for limit, by in zip(one.constraints, excess, strict=True) if by > 0]
    if broken:
        sign = "<=" if broken[0].upper else ">="
        trial.set_user_attr("reason", f"{broken[0].name}{sign}{broken[0].limit:g} does not hold")
    study.tell(trial, values)


def _trial_of(label: str, one: SampledSearch, first: Experiment, trial: Any) -> Trial:
    values = dict(trial.user_attrs.get("values", trial.params))
    reason = trial.user_attrs.get("reason")
    return Trial(
        label=label,
        stage=1,
        number=trial.number + 1,
        values=values,
        experiment=one.search.trial_of(first, values),
        score=None if trial.values is None else float(trial.values[0]),
        reason=reason,
    )


def _importance(study: Any, complete: int, metrics: int) -> dict[str, float]:
    from optuna.importance import get_param_importances

    if complete < 4 or metrics > 1:
        return {}
    return {name: float(value) for name, value in get_param_importances(study).items()}
