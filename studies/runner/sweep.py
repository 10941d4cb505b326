"""Execution of many experiments, each in the folder of its hash.

Runs are shared between studies and resumed where they stopped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path

from studies.runner.batched_runs import stacks
from studies.runner.single_run import RoundCounter, folder_of, is_complete
from studies.runner.task import Ended, RunTask, Stop, execute
from wirelessfl.config.scenario_file import to_toml
from wirelessfl.errors import InputError
from wirelessfl.experiment import Experiment

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
    stops: tuple[Stop, ...] = (),
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
        stops: Each run stops, with a checkpoint, when one of these is true.
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
        stops=stops,
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
    stops: tuple[Stop, ...] = (),
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
        stops: Each run stops, with a checkpoint, when one of these is true.
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
    futures = _submit(todo, executor, jobs, stops, data_root)
    for future in _watch(futures, counters, on_progress):
        error = _error_of(future)
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
    stops: tuple[Stop, ...],
    data_root: Path | None,
) -> _Futures:
    """Submit all runs, alone or batched; returns the run folders of each future."""
    together = stacks(todo, jobs)
    single = todo.keys() - {path for stack in together for path in stack}
    tomls = {path: to_toml(experiment) for path, experiment in todo.items()}
    futures: _Futures = {}
    tasks = [
        RunTask({path: tomls[path] for path in stack}, data_root, True, stops) for stack in together
    ]
    tasks += [
        RunTask({path: tomls[path]}, data_root, stops=stops) for path in tomls if path in single
    ]
    for task in tasks:
        futures[executor.submit(execute, task)] = tuple(task.tomls)
    return futures


def _error_of(future: Future[Ended]) -> BaseException | None:
    """The error of an ended future, also where its executor has dropped it."""
    if future.cancelled():
        return InputError("the executor has lost it")
    return future.exception()


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
        # An executor of another machine does not tell which futures run.
        running = {future for future in pending if future.running()} or pending
        for future in (*ended, *running):
            for path in futures[future]:
                counters[path].count()
        report()
        yield from ended
