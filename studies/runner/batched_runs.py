"""Runs that an algorithm trains as one program, each recorded as if it had run alone.

The ordinary round loop records them, one folder per run.
"""

import tomllib
from collections.abc import Hashable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

from studies.runner.single_run import finish, is_complete, opened, run_lock, runtime_of
from wirelessfl.batched_runs import Stackable, StackedRun, TrainedRun
from wirelessfl.border import gate
from wirelessfl.cell.vectorised import beyond_formula
from wirelessfl.config.scenario_file import experiment_hash, from_tables, input_contents
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.planning import check_feasible
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.rounds import record_trained

# Largest batch: it bounds the memory, and the work lost when a batch is interrupted.
MOST_RUNS = 32


def stack_key(experiment: Experiment) -> Hashable | None:
    """Key of experiments that may be trained in one batch.

    The algorithm decides, provided that the cell delivers every update in its round: all clients
    participate, the server waits for them, and no update is lost. Runs with a limit besides
    `run.rounds`, or with a kept best round, need the round loop.

    Args:
        experiment: An experiment.

    Returns:
        A key that is equal for experiments of one batch; None where the experiment must run alone.
    """
    algorithm = experiment.algorithm
    run = experiment.run
    scenario = experiment.scenario
    if not isinstance(algorithm, Stackable) or not run.train or run.participants is not None:
        return None
    if run.ends_early or run.keep_best or run.max_wall_s is not None:
        return None
    if scenario.deadline_policy != "wait" or beyond_formula(scenario) is not None:
        return None
    key = algorithm.stack_key()
    return (
        None
        if key is None
        else (key, scenario.clients, run.device, run.precision, run.deterministic)
    )


def stacks(wanted: Mapping[Path, Experiment], jobs: int = 1) -> list[list[Path]]:
    """Group runs into batches.

    Runs without a key, and runs with a checkpoint, which the ordinary loop resumes, are omitted.

    Args:
        wanted: Run folder -> experiment.
        jobs: Number of processes.

    Returns:
        The batches, of at most `MOST_RUNS` run folders each.
    """
    groups: dict[Hashable, list[Path]] = {}
    for path, experiment in wanted.items():
        key = stack_key(experiment)
        if key is not None and not (path.exists() and RunFolder(path).checkpoint_files()):
            groups.setdefault(key, []).append(path)
    made = []
    for paths in groups.values():
        count = max(-(-len(paths) // MOST_RUNS), min(jobs, len(paths)))
        made += [paths[start::count] for start in range(count)]
    return made


def run_stacked(
    tomls: Mapping[Path, str], data_root: Path | None = None
) -> tuple[list[str], dict[Path, InputError | None]]:
    """Train experiments as one batch and record each as the ordinary loop does.

    Folders, records and checkpoint are those of `run_to_end`, except for intermediate checkpoints:
    a run that is interrupted while it is recorded is recorded again, a run that diverges keeps its
    last state before the divergence.

    Args:
        tomls: Run folder -> experiment as TOML.
        data_root: The folder of the data sets.

    Returns:
        Messages for the user, and for every run that was not complete None or its error.
    """
    notes: list[str] = []
    with ExitStack() as locks:
        for path in sorted(tomls):  # always in one order: two sweeps never wait for each other
            locks.enter_context(run_lock(path))
        wanted = {path: from_tables(tomllib.loads(toml)) for path, toml in tomls.items()}
        todo = {
            path: experiment
            for path, experiment in wanted.items()
            if not is_complete(path, experiment)
        }
        ended: dict[Path, InputError | None] = {}
        for path, run in zip(todo, _trained(list(todo.values()), data_root), strict=True):
            try:
                notes += _record(path, tomls[path], todo[path], run, data_root)
                ended[path] = None
            except InputError as error:
                ended[path] = error
    return notes, ended


def _trained(experiments: Sequence[Experiment], data_root: Path | None) -> Any:
    if not experiments:
        return ()
    for experiment in experiments:
        check_feasible(
            experiment, gate.first_demand(experiment.algorithm, experiment.scenario.clients)
        )
    runs = [
        StackedRun(
            algorithm=experiment.algorithm,
            clients=experiment.scenario.clients,
            seed=experiment.run.seed,
            rounds=experiment.run.rounds,
            eval_every=experiment.run.eval_every,
        )
        for experiment in experiments
    ]
    first = cast(Stackable, experiments[0].algorithm)
    return first.train_stack(runs, runtime_of(experiments[0], data_root))


def _record(
    path: Path,
    toml: str,
    experiment: Experiment,
    run: TrainedRun,
    data_root: Path | None,
) -> list[str]:
    inputs = input_contents(experiment, data_root)
    created = not path.exists()
    folder = opened(path, experiment, inputs)
    if folder.checkpoint_files():  # the ordinary loop has started this run meanwhile
        return finish(path, toml, data_root)
    try:
        identity = experiment_hash(experiment, with_rounds=False)
        with folder.in_use():
            as_trained = record_trained(experiment, run, folder, identity=identity, inputs=inputs)
    except InputError:
        if created:
            folder.discard()
        raise
    if not as_trained:
        return finish(path, toml, data_root)
    return []
