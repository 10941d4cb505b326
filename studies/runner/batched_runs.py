"""Runs that an algorithm trains as one program, each recorded as if it had run alone.

The ordinary round loop records them, one folder per run.
"""

import time
import tomllib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import cast

from studies.runner.single_run import finish, is_complete, opened, run_lock, runtime_of
from wirelessfl.batched_runs import Stackable, StackedRun, TrainedRun
from wirelessfl.border import gate
from wirelessfl.cell.vectorised import beyond_formula
from wirelessfl.config.scenario_file import experiment_hash, from_tables, input_contents
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.planning import check_feasible
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.rounds import TrainedRecorder

MOST_RUNS = 32  # of a batch; bounds its memory
CHECKPOINT_S = 60.0  # between two checkpoints of a batch


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
    """Group runs into batches; runs without a key are omitted.

    Args:
        wanted: Run folder -> experiment.
        jobs: Number of processes.

    Returns:
        The batches, of at most `MOST_RUNS` run folders each.
    """
    groups: dict[Hashable, list[Path]] = {}
    for path, experiment in wanted.items():
        key = stack_key(experiment)
        if key is not None:
            groups.setdefault(key, []).append(path)
    made = []
    for paths in groups.values():
        count = max(-(-len(paths) // MOST_RUNS), min(jobs, len(paths)))
        made += [paths[start::count] for start in range(count)]
    return made


def run_stacked(
    tomls: Mapping[Path, str],
    data_root: Path | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[list[str], dict[Path, InputError | None]]:
    """Train experiments as one batch and record each as the ordinary loop does.

    Folders and records are those of `run_to_end`. Checkpoints are written every `CHECKPOINT_S`, and
    an interrupted batch goes on from them. A run that diverges keeps its last state before that.

    Args:
        tomls: Run folder -> experiment as TOML.
        data_root: The folder of the data sets.
        stopped: Asked between steps; true interrupts the batch with checkpoints.

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
        if stopped() or not todo:
            return notes, {}
        for experiment in todo.values():
            check_feasible(
                experiment, gate.first_demand(experiment.algorithm, experiment.scenario.clients)
            )
        batch = _Batch(todo, data_root, notes.append, stopped)
        batch.train()
        ended = batch.ended
        for path in batch.misfits:
            try:
                notes += finish(path, tomls[path], data_root, stopped=stopped)
            except InputError as error:
                ended[path] = error
    return notes, ended


class _Batch:
    """Runs that are trained together and recorded as they go on.

    Attributes:
        ended: Run folder -> None or the error of the run.
        misfits: Run folders whose runs have to be trained on their own.
    """

    def __init__(
        self,
        todo: Mapping[Path, Experiment],
        data_root: Path | None,
        notify: Callable[[str], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._todo = todo
        self._data_root = data_root
        self._notify = notify
        self._stopped = stopped
        self._recorders: dict[Path, TrainedRecorder] = {}
        self._next_s = time.monotonic() + CHECKPOINT_S
        self.ended: dict[Path, InputError | None] = {}
        self.misfits: list[Path] = []

    def train(self) -> None:
        """Train all runs, or as far as the batch is not stopped."""
        with ExitStack() as held:
            created = []
            for path, experiment in self._todo.items():
                if not path.exists():
                    created.append(path)
                self._guarded(path, partial(self._open, path, experiment, held))
            try:
                for path, trained in zip(self._recorders, self._trained(), strict=True):
                    self.ended.setdefault(path, None)
                    self._guarded(path, partial(self._end, path, trained))
            finally:
                held.close()
                for path in created:
                    if path.exists():
                        RunFolder(path).discard()

    def _guarded(self, path: Path, call: Callable[[], None]) -> None:
        """Call for one run, whose error does not affect the others."""
        try:
            call()
        except InputError as error:
            self.ended[path] = error

    def _open(self, path: Path, experiment: Experiment, held: ExitStack) -> None:
        inputs = input_contents(experiment, self._data_root)
        folder = opened(path, experiment, inputs)
        held.enter_context(folder.in_use())
        self._recorders[path] = TrainedRecorder(
            experiment,
            folder,
            identity=experiment_hash(experiment, with_rounds=False),
            inputs=inputs,
            notify=self._notify if folder.checkpoint_files() else lambda line: None,
        )

    def _trained(self) -> Iterable[TrainedRun]:
        if not self._recorders:
            return ()
        experiments = [self._todo[path] for path in self._recorders]
        runs = [
            StackedRun(
                algorithm=experiment.algorithm,
                clients=experiment.scenario.clients,
                seed=experiment.run.seed,
                rounds=experiment.run.rounds,
                eval_every=experiment.run.eval_every,
                done=recorder.done,
                start=recorder.state,
            )
            for experiment, recorder in zip(experiments, self._recorders.values(), strict=True)
        ]
        first = cast(Stackable, experiments[0].algorithm)
        return first.train_stack(runs, runtime_of(experiments[0], self._data_root), self._pause)

    def _pause(self, take: Callable[[], Sequence[TrainedRun]]) -> bool:
        """Record the rounds so far once a minute, and when the batch is stopped."""
        stopped = self._stopped()
        if stopped or time.monotonic() >= self._next_s:
            for path, part in zip(self._recorders, take(), strict=True):
                if self.ended.get(path) is None:
                    self._guarded(path, partial(self._recorders[path].add, part))
            self._next_s = time.monotonic() + CHECKPOINT_S
        return stopped

    def _end(self, path: Path, trained: TrainedRun) -> None:
        recorder = self._recorders[path]
        if self.ended[path] is None:
            recorder.end(trained)
        if not recorder.fits:
            self.misfits.append(path)
