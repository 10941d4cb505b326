"""Sweeps with one progress bar."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def sweep_with_progress(
    experiments: Mapping[str, Iterable[Any]], out: Path, jobs: int, data_root: Path | None
) -> None:
    """Run all experiments until they are complete.

    Args:
        experiments: Label -> experiments.
        out: The folder of the run folders.
        jobs: Number of processes.
        data_root: The folder of the data sets.

    Raises:
        InputError: A run failed.
    """
    from studies.runner.sweep import sweep

    every = [experiment for seeds in experiments.values() for experiment in seeds]
    with _progress(every, out, jobs, "") as options:
        sweep(every, out, data_root=data_root, **options)


def all_with_progress(
    experiments: Iterable[Any], out: Path, jobs: int, data_root: Path | None
) -> list[str]:
    """Run all experiments until they are complete or have failed.

    Args:
        experiments: The experiments.
        out: The folder of the run folders.
        jobs: Number of processes.
        data_root: The folder of the data sets.

    Returns:
        One line per failed run.
    """
    from studies.runner.sweep import run_all

    every = list(experiments)
    failures: list[str] = []
    with _progress(every, out, jobs, "") as options:
        run_all(
            every,
            out,
            data_root=data_root,
            pictures=False,
            on_failure=lambda path, error: failures.append(f"run {path}: {error}"),
            **options,
        )
    return failures


def try_with_progress(
    out: Path, jobs: int, data_root: Path | None, experiments: Iterable[Any], title: str
) -> Mapping[str, str]:
    """Run the trials of a search until they are complete or diverge.

    Args:
        out: The folder of the run folders.
        jobs: Number of processes.
        data_root: The folder of the data sets.
        experiments: The trials.
        title: Their description on the progress bar.

    Returns:
        The reason by hash, for each trial that diverged.
    """
    from studies.runner.attempts import try_all

    every = list(experiments)
    with _progress(every, out, jobs, f"{title}: ") as options:
        return try_all(every, out, data_root=data_root, **options)


@contextmanager
def _progress(every: Iterable[Any], out: Path, jobs: int, title: str) -> Iterator[dict[str, Any]]:
    """A bar over all rounds of all runs; yields the arguments of a sweep that reports to it."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from studies.report.terminal import terminal
    from studies.runner.single_run import folder_of
    from studies.runner.sweep import worker_processes
    from wirelessfl.border.interrupt import resumable

    runs = {folder_of(experiment, out): experiment for experiment in every}
    total = sum(experiment.run.rounds for experiment in runs.values())
    jobs = min(jobs, len(runs))
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rounds"),
    )
    with (
        Progress(
            *columns, TimeRemainingColumn(elapsed_when_finished=True), console=terminal(stderr=True)
        ) as progress,
        worker_processes(jobs) as executor,
    ):
        bar = progress.add_task(f"{title}{len(runs)} runs", total=total)
        notify: Callable[[str], None] = lambda line: progress.console.print(  # noqa: E731
            f"note: {line}", soft_wrap=True
        )
        with resumable(lambda: "the same command completes the missing runs"):
            yield {
                "executor": executor,
                "jobs": jobs,
                "on_progress": lambda done: progress.update(bar, completed=done.rounds),
                "notify": notify,
            }
