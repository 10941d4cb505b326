"""Running many experiments: each in the folder of its hash, shared between studies, resumed where it stopped."""

import multiprocessing
import os
import signal
import threading
import tomllib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from studies.report.run_figures import draw_run
from wirelessfl.config import experiment_hash, from_tables, to_toml
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment
from wirelessfl.no_training import NoTraining
from wirelessfl.planning import check_feasible
from wirelessfl.protocols import Trainer
from wirelessfl.records import RunFolder
from wirelessfl.rounds import run_rounds

POLL_S = 0.5


@dataclass(frozen=True)
class Progress:
    """How far a sweep is: rounds recorded and runs complete, of all its runs."""

    rounds: int
    runs: int


def folder_of(experiment: Experiment, root: Path) -> Path:
    """Where under `root` the experiment runs: the same folder for every study that asks for it."""
    return root / experiment_hash(experiment)


def sweep(
    experiments: Iterable[Experiment],
    root: Path,
    *,
    executor: Executor,
    data_root: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    notify: Callable[[str], None] = lambda line: None,
) -> None:
    """Bring every experiment's run to its end: complete ones are left alone, partial ones go on.

    A run that fails is named to `notify` (once for the same reason) and the others go on. Raises `InputError` at the
    end when any failed.
    """
    wanted = {folder_of(experiment, root): experiment for experiment in experiments}
    root.mkdir(parents=True, exist_ok=True)
    rounds = {path: _recorded(path) for path in wanted}
    futures = {
        executor.submit(run_to_end, path, to_toml(experiment), data_root): path
        for path, experiment in wanted.items()
        if not _is_complete(path, experiment)
    }
    failures: list[str] = []
    for future in _watch(futures, rounds, on_progress):
        error = future.exception()
        if error is None:
            lines = future.result()
        else:
            reason = str(error) or type(error).__name__
            lines = [] if reason in failures else [f"run {futures[future]} failed: {reason}"]
            failures.append(reason)
        for line in lines:
            notify(" ".join(line.split()))
    if failures:
        count = f"{len(failures)} of {len(wanted)} runs failed"
        raise InputError(f"{count}: {failures[0]}; once that is mended the same command does what is missing")


def _watch(
    futures: dict[Future[list[str]], Path], rounds: dict[Path, int], on_progress: Callable[[Progress], None]
) -> Iterator[Future[list[str]]]:
    """The futures as they end; the rounds done are read from the run folders meanwhile."""
    pending = set(futures)
    on_progress(Progress(rounds=sum(rounds.values()), runs=len(rounds) - len(pending)))
    while pending:
        ended, pending = wait(pending, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for future in (*ended, *(future for future in pending if future.running())):
            rounds[futures[future]] = _recorded(futures[future])
        on_progress(Progress(rounds=sum(rounds.values()), runs=len(rounds) - len(pending)))
        yield from ended


def _recorded(path: Path) -> int:
    file = RunFolder(path).rounds_file
    return file.read_bytes().count(b"\n") if file.exists() else 0


def _is_complete(path: Path, experiment: Experiment) -> bool:
    """A run is complete when its summary is there, which is written last."""
    return RunFolder(path).summary_file.exists() and _recorded(path) == experiment.run.rounds


def run_to_end(path: Path, experiment_toml: str, data_root: Path | None = None) -> list[str]:
    """Run an experiment in folder `path` until it is complete; returns what a person should know, line by line."""
    experiment = from_tables(tomllib.loads(experiment_toml))
    notes: list[str] = []
    with _alone(path):
        folder = RunFolder.open(path) if path.exists() else RunFolder.create(path, experiment_toml)
        if _is_complete(path, experiment):
            return notes
        check_feasible(experiment, experiment.algorithm.demand(experiment.scenario.clients))
        try:
            _run(experiment, folder, data_root, notes)
        except InputError:
            folder.remove_unused()
            raise
        draw_run(folder)
    return notes


def _run(experiment: Experiment, folder: RunFolder, data_root: Path | None, notes: list[str]) -> None:
    identity = experiment_hash(experiment, with_rounds=False)
    trainer = _trainer(experiment, data_root)
    try:
        with folder.in_use():
            run_rounds(experiment, trainer, folder, identity=identity, notify=notes.append)
    finally:
        trainer.close()


def _trainer(experiment: Experiment, data_root: Path | None) -> Trainer | NoTraining:
    """The trainer of a run, on a CPU in one thread: with as many runs as cores that is faster than sharing a run."""
    clients, settings = experiment.scenario.clients, experiment.run
    if not settings.train:
        return NoTraining(experiment.algorithm.demand(clients))
    runtime = settings.runtime(data_root)
    if settings.device == "cpu":
        runtime = replace(runtime, executor="loop")
    return experiment.algorithm.trainer(clients=clients, seed=settings.seed, runtime=runtime)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep a second sweep out of a run's folder; the system lifts the lock when its holder dies."""
    try:
        import fcntl
    except ImportError:  # not on Windows, where two sweeps over the same runs must not be started at once
        yield
        return
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def worker_processes(jobs: int) -> Iterator[Executor]:
    """`jobs` processes of one thread each; they die with their parent, and at once when it is interrupted."""
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown()


def _begin_worker() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the numerical libraries are first imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears of Ctrl-C and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
