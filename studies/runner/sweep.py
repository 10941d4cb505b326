"""Execution of many experiments, each in the folder of its hash.

Runs are shared between studies and resumed where they stopped.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import FrameType

from studies.runner.batched_runs import run_stacked, stacks
from studies.runner.single_run import RoundCounter, folder_of, is_complete, run_to_end
from wirelessfl.config.scenario_file import to_toml
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment

Ended = tuple[list[str], Mapping[Path, BaseException | None]]  # notes, and how each run ended
_Futures = dict[Future[Ended], tuple[Path, ...]]
POLL_S = 0.5


@dataclass(frozen=True)
class Progress:
    """Progress of a sweep, over all its runs.

    Attributes:
        rounds: Number of rounds recorded.
        runs: Number of runs complete.
        accuracy: Mean of the last accuracies of the runs that have one.
    """

    rounds: int
    runs: int
    accuracy: float | None = None


def sweep(
    experiments: Iterable[Experiment],
    root: Path,
    *,
    executor: Executor,
    jobs: int = 1,
    data_root: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    notify: Callable[[str], None] = lambda line: None,
) -> None:
    """Run every experiment until it is complete; complete runs are skipped, partial ones resumed.

    A run that fails is reported to `notify`, once per reason, and the others go on.

    Args:
        experiments: The experiments.
        root: The folder of the run folders.
        executor: Runs the experiments.
        jobs: Number of its processes, over which batched runs are divided.
        data_root: The folder of the data sets.
        on_progress: Called with the progress.
        notify: Called with each message for the user.

    Raises:
        InputError: A run failed, after all others have ended.
    """
    wanted = list(experiments)
    reasons: list[str] = []

    def failed(path: Path, error: BaseException) -> None:
        reason = str(error) or type(error).__name__
        if reason not in reasons:
            notify(_one_line(f"run {path} failed: {reason}"))
        reasons.append(reason)

    run_all(
        wanted,
        root,
        executor=executor,
        jobs=jobs,
        data_root=data_root,
        on_progress=on_progress,
        on_failure=failed,
        notify=notify,
    )
    if reasons:
        runs = len({folder_of(experiment, root) for experiment in wanted})
        raise InputError(
            f"{len(reasons)} of {runs} runs failed: {reasons[0]}; "
            "once that is fixed the same command completes the missing runs"
        )


def run_all(
    experiments: Iterable[Experiment],
    root: Path,
    *,
    executor: Executor,
    on_failure: Callable[[Path, BaseException], None],
    jobs: int = 1,
    data_root: Path | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    notify: Callable[[str], None] = lambda line: None,
) -> None:
    """A `sweep` that reports failures to a callback instead of raising.

    Args:
        experiments: The experiments.
        root: The folder of the run folders.
        executor: Runs the experiments.
        on_failure: Called with the run folder and the error of each run that fails.
        jobs: Number of its processes.
        data_root: The folder of the data sets.
        on_progress: Called with the progress.
        notify: Called with each message for the user.
    """
    wanted = {folder_of(experiment, root): experiment for experiment in experiments}
    root.mkdir(parents=True, exist_ok=True)
    counters = {path: RoundCounter(path) for path in wanted}
    todo = {
        path: experiment for path, experiment in wanted.items() if not is_complete(path, experiment)
    }
    futures = _submit(todo, executor, jobs, data_root)
    for future in _watch(futures, counters, on_progress):
        error = future.exception()
        notes, ended = ([], dict.fromkeys(futures[future], error)) if error else future.result()
        for path, reason in ended.items():
            if reason is not None:
                on_failure(path, reason)
        for line in notes:
            notify(_one_line(line))


def _submit(
    todo: Mapping[Path, Experiment],
    executor: Executor,
    jobs: int,
    data_root: Path | None,
) -> _Futures:
    """Submit all runs, alone or batched; returns the run folders of each future."""
    together = stacks(todo, jobs)
    single = todo.keys() - {path for stack in together for path in stack}
    tomls = {path: to_toml(experiment) for path, experiment in todo.items()}
    futures: _Futures = {}
    for stack in together:
        asked = {path: tomls[path] for path in stack}
        futures[executor.submit(run_stacked, asked, data_root)] = tuple(stack)
    for path in tomls:
        if path in single:
            futures[executor.submit(_run_alone, path, tomls[path], data_root)] = (path,)
    return futures


def _run_alone(path: Path, experiment_toml: str, data_root: Path | None) -> Ended:
    return run_to_end(path, experiment_toml, data_root), {path: None}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _watch(
    futures: _Futures,
    counters: Mapping[Path, RoundCounter],
    on_progress: Callable[[Progress], None],
) -> Iterator[Future[Ended]]:
    """Yield the futures as they end; report the rounds recorded in the run folders meanwhile."""
    pending = set(futures)

    def report() -> None:
        open_runs = sum(len(futures[future]) for future in pending)
        rounds = sum(counter.rounds for counter in counters.values())
        found = [one.accuracy for one in counters.values() if one.accuracy is not None]
        accuracy = sum(found) / len(found) if found else None
        on_progress(Progress(rounds, len(counters) - open_runs, accuracy))

    for counter in counters.values():
        counter.count()
    report()
    while pending:
        ended, pending = wait(pending, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for future in (*ended, *(future for future in pending if future.running())):
            for path in futures[future]:
                counters[path].count()
        report()
        yield from ended


class _WorkerProcess(SpawnProcess):
    """A process that is started as a whole and never receives Ctrl-C.

    Otherwise an interrupt during the start leaves a process that fails with a traceback, and whose
    semaphores are reported as leaked.
    """

    def start(self) -> None:
        """Start the process; an interrupt is handled after that."""
        if threading.current_thread() is not threading.main_thread():
            super().start()
            return
        held: list[tuple[int, FrameType | None]] = []
        before = signal.signal(signal.SIGINT, lambda *caught: held.append(caught))
        blocked = _block({signal.SIGINT})  # inherited by the process
        try:
            super().start()
        finally:
            _unblock(blocked)
            signal.signal(signal.SIGINT, before)
        if held and callable(before):
            before(*held[0])


class _WorkerContext(SpawnContext):
    """Makes `_WorkerProcess`es."""

    Process = _WorkerProcess


def _block(signals: set[signal.Signals]) -> set[signal.Signals]:
    """Block signals in this thread; returns those blocked before (none on Windows)."""
    if not hasattr(signal, "pthread_sigmask"):
        return set()
    return {signal.Signals(one) for one in signal.pthread_sigmask(signal.SIG_BLOCK, signals)}


def _unblock(before: set[signal.Signals]) -> None:
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def worker_processes(jobs: int) -> Iterator[Executor]:
    """Start `jobs` single-threaded processes.

    They end with their parent, and at once when it is interrupted.

    Args:
        jobs: Number of processes.

    Yields:
        Their executor.
    """
    others = set(multiprocessing.active_children())
    before = os.environ.get("PYTHONSAFEPATH")
    # The children start by `-c`, which looks for modules in the working directory first.
    os.environ["PYTHONSAFEPATH"] = "1"
    pool = ProcessPoolExecutor(jobs, mp_context=_WorkerContext(), initializer=_begin_worker)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown()
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _begin_worker() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when the numerical libraries are first imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
