"""Options and progress of commands that execute many runs."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from studies.cli.options.reporting import Reporter

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count(),
    help="Runs at the same time [number of cores].",
)


def out_option(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Option `--out`, the folder of the run folders.

    Args:
        default: The folder without the option.
    """
    return click.option(
        "--out",
        type=click.Path(path_type=Path),
        default=Path(default),
        show_default=True,
        help="Run folders, shared between commands; complete ones are skipped, partial ones "
        "continued.",
    )


def sweep_with_progress(
    experiments: Mapping[str, Iterable[Any]],
    out: Path,
    jobs: int,
    data_root: Path | None,
    reporter: Reporter,
) -> None:
    """Run all experiments until they are complete.

    Args:
        experiments: Label -> experiments.
        out: The folder of the run folders.
        jobs: Number of processes.
        data_root: The folder of the data sets.
        reporter: Receives the progress.

    Raises:
        InputError: A run failed.
    """
    from studies.runner.sweep import sweep

    every = [experiment for seeds in experiments.values() for experiment in seeds]
    with _progress(every, out, jobs, "", reporter) as options:
        sweep(every, out, data_root=data_root, **options)


def all_with_progress(
    experiments: Iterable[Any], out: Path, jobs: int, data_root: Path | None, reporter: Reporter
) -> list[str]:
    """Run all experiments until they are complete or have failed.

    Args:
        experiments: The experiments.
        out: The folder of the run folders.
        jobs: Number of processes.
        data_root: The folder of the data sets.
        reporter: Receives the progress.

    Returns:
        One line per failed run.
    """
    from studies.runner.sweep import run_all

    every = list(experiments)
    failures: list[str] = []
    with _progress(every, out, jobs, "", reporter) as options:
        run_all(
            every,
            out,
            data_root=data_root,
            on_failure=lambda path, error: failures.append(f"run {path}: {error}"),
            **options,
        )
    return failures


def try_with_progress(
    out: Path,
    jobs: int,
    data_root: Path | None,
    reporter: Reporter,
    experiments: Iterable[Any],
    title: str,
) -> Mapping[str, str]:
    """Run the trials of a search until they are complete or diverge.

    Args:
        out: The folder of the run folders.
        jobs: Number of processes.
        data_root: The folder of the data sets.
        reporter: Receives the progress.
        experiments: The trials.
        title: Their description on the progress bar.

    Returns:
        The reason by hash, for each trial that diverged.
    """
    from studies.runner.attempts import try_all

    every = list(experiments)
    with _progress(every, out, jobs, f"{title}, ", reporter) as options:
        return try_all(every, out, data_root=data_root, **options)


@contextmanager
def _progress(
    every: Iterable[Any], out: Path, jobs: int, title: str, reporter: Reporter
) -> Iterator[dict[str, Any]]:
    """Progress over all rounds of all runs; yields the arguments of a sweep that reports to it."""
    from studies.runner.single_run import folder_of
    from studies.runner.sweep import worker_processes
    from wirelessfl.border.interrupt import resumable

    runs = {folder_of(experiment, out): experiment for experiment in every}
    total = sum(experiment.run.rounds for experiment in runs.values())
    jobs = min(jobs, len(runs))
    complete: list[int] = []

    def on_progress(tracker: Any, done: Any) -> None:
        note = "" if done.accuracy is None else f"accuracy {done.accuracy:.1%}"
        changed = done.runs > max(complete, default=0)
        complete.append(done.runs)
        detail = f"{done.runs} of {len(runs)} runs complete, {note}".rstrip(", ")
        tracker.update(done.rounds, note, detail if changed else "")

    with (
        reporter.tracker(f"{title}{len(runs)} run{'s' * (len(runs) != 1)}", total) as tracker,
        worker_processes(jobs) as executor,
        resumable(lambda: "the same command completes the missing runs"),
    ):
        yield {
            "executor": executor,
            "jobs": jobs,
            "on_progress": partial(on_progress, tracker),
            "notify": reporter.note,
        }
