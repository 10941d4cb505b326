"""Running many experiments: each in the folder of its hash, shared between studies, resumed where
it stopped.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
    """How far a sweep is: rounds recorded and runs complete, of all its runs."""

    rounds: int
    runs: int


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
    """Bring every experiment's run to its end: complete ones are left alone, partial ones go on.

    `jobs` is how many processes there are, which share what can be trained as one program. A run
    that fails is named to `notify` (once for the same reason) and the others go on. Raises
    `InputError` at the end when any failed.
    """
    wanted = list(experiments)
    reasons: list[str] = []

    def failed(path: Path, error: BaseException) -> None:
        reason = str(error) or type(error).__name__
        if reason not in reasons:
            notify(_one_line(f"run {path} failed: {reason}"))
        reasons.append(reason)

    attempt(
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
        count = f"{len(reasons)} of {len({folder_of(experiment, root) for experiment in wanted})} runs failed"
        raise InputError(
            f"{count}: {reasons[0]}; once that is mended the same command does what is missing"
        )


def attempt(
    experiments: Iterable[Experiment],
    root: Path,
    *,
    executor: Executor,
    on_failure: Callable[[Path, BaseException], None],
    jobs: int = 1,
    data_root: Path | None = None,
    pictures: bool = True,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    notify: Callable[[str], None] = lambda line: None,
) -> None:
    """A `sweep` in which a failure is no more than that: `on_failure` hears the run's folder and
    its error.

    Without `pictures` the folders hold everything but these, which take longer than many a short
    run.
    """
    wanted = {folder_of(experiment, root): experiment for experiment in experiments}
    root.mkdir(parents=True, exist_ok=True)
    counters = {path: RoundCounter(path) for path in wanted}
    todo = {
        path: experiment for path, experiment in wanted.items() if not is_complete(path, experiment)
    }
    futures = _submit(todo, executor, jobs, data_root, pictures)
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
    pictures: bool,
) -> _Futures:
    """Every run that is wanted, alone or with others, and the folders that its future is about."""
    together = stacks(todo, jobs)
    single = todo.keys() - {path for stack in together for path in stack}
    tomls = {path: to_toml(experiment) for path, experiment in todo.items()}
    futures: _Futures = {}
    for stack in together:
        asked = {path: tomls[path] for path in stack}
        futures[executor.submit(run_stacked, asked, data_root, pictures=pictures)] = tuple(stack)
    for path in tomls:
        if path in single:
            futures[executor.submit(_run_alone, path, tomls[path], data_root, pictures)] = (path,)
    return futures


def _run_alone(path: Path, experiment_toml: str, data_root: Path | None, pictures: bool) -> Ended:
    return run_to_end(path, experiment_toml, data_root, pictures=pictures), {path: None}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _watch(
    futures: _Futures,
    counters: Mapping[Path, RoundCounter],
    on_progress: Callable[[Progress], None],
) -> Iterator[Future[Ended]]:
    """The futures as they end; the rounds done are read from the run folders meanwhile."""
    pending = set(futures)

    def tell() -> None:
        open_runs = sum(len(futures[future]) for future in pending)
        rounds = sum(counter.rounds for counter in counters.values())
        on_progress(Progress(rounds=rounds, runs=len(counters) - open_runs))

    for counter in counters.values():
        counter.count()
    tell()
    while pending:
        ended, pending = wait(pending, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for future in (*ended, *(future for future in pending if future.running())):
            for path in futures[future]:
                counters[path].count()
        tell()
        yield from ended


@contextmanager
def worker_processes(jobs: int) -> Iterator[Executor]:
    """`jobs` processes of one thread each; they die with their parent, and at once when it is
    interrupted.
    """
    others = set(multiprocessing.active_children())
    before = os.environ.get("PYTHONSAFEPATH")
    # The children start by `-c`, which looks for modules in the working directory first.
    os.environ["PYTHONSAFEPATH"] = "1"
    pool = ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker
    )
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears of Ctrl-C and ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
