"""Options and progress of commands that execute many runs."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from studies.cli.options.reporting import Reporter


def backend_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--jobs`, `--cluster` and `--gather` to a command, which receives them as `backend`."""

    @click.option(
        "--jobs",
        type=click.IntRange(min=1),
        default=os.cpu_count(),
        help="Runs at the same time [number of cores].",
    )
    @click.option(
        "--cluster",
        metavar="ADDRESS",
        help="Run on the workers of this Dask scheduler, such as tcp://10.0.0.1:8786, in place of "
        "--jobs processes; the run folders lie on a shared file system.",
    )
    @click.option(
        "--gather",
        is_flag=True,
        help="Without a shared file system: the workers of the cluster send the run folders.",
    )
    @functools.wraps(command)
    def with_backend(
        *arguments: Any, jobs: int, cluster: str | None, gather: bool, **options: Any
    ) -> None:
        from studies.runner.backend import Backend

        command(*arguments, backend=Backend(jobs, cluster, gather), **options)

    return with_backend


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
    experiments: Mapping[str, list[Any]],
    out: Path,
    backend: Any,
    data_root: Path | None,
    reporter: Reporter,
) -> None:
    """Run all experiments until they are complete, the first seed of every label first.

    Args:
        experiments: Label -> experiments, one per seed.
        out: The folder of the run folders.
        backend: The `Backend` that runs them.
        data_root: The folder of the data sets.
        reporter: Receives the progress.

    Raises:
        InputError: A run failed.
    """
    from studies.runner.sweep import sweep
    from studies.study.outlook import seeds_first

    every = seeds_first(experiments)
    with _progress(every, out, backend, data_root, "", reporter) as options:
        sweep(every, **options)


def all_with_progress(
    experiments: Iterable[Any],
    out: Path,
    backend: Any,
    data_root: Path | None,
    reporter: Reporter,
) -> list[str]:
    """Run all experiments until they are complete or have failed.

    Args:
        experiments: The experiments.
        out: The folder of the run folders.
        backend: The `Backend` that runs them.
        data_root: The folder of the data sets.
        reporter: Receives the progress.

    Returns:
        One line per failed run.
    """
    from studies.runner.sweep import run_all

    every = list(experiments)
    failures: list[str] = []
    with _progress(every, out, backend, data_root, "", reporter) as options:
        run_all(
            every,
            on_failure=lambda path, error: failures.append(f"run {path}: {error}"),
            **options,
        )
    return failures


def try_with_progress(
    out: Path,
    backend: Any,
    data_root: Path | None,
    reporter: Reporter,
    experiments: Iterable[Any],
    title: str,
) -> Mapping[str, str]:
    """Run the trials of a search until they are complete or diverge.

    Args:
        out: The folder of the run folders.
        backend: The `Backend` that runs them.
        data_root: The folder of the data sets.
        reporter: Receives the progress.
        experiments: The trials.
        title: Their description on the progress bar.

    Returns:
        The reason by hash, for each trial that diverged.
    """
    from studies.runner.attempts import try_all

    every = list(experiments)
    with _progress(every, out, backend, data_root, f"{title}, ", reporter) as options:
        return try_all(every, **options)


@contextmanager
def _progress(
    every: Iterable[Any],
    out: Path,
    backend: Any,
    data_root: Path | None,
    title: str,
    reporter: Reporter,
) -> Iterator[dict[str, Any]]:
    """Progress over all rounds of all runs; yields the arguments of a sweep that reports to it."""
    from studies.runner.single_run import folder_of
    from wirelessfl.border.interrupt import resumable

    root = backend.path(out)
    runs = {folder_of(experiment, root): experiment for experiment in every}
    total = sum(experiment.run.rounds for experiment in runs.values())
    complete: list[int] = []

    def on_progress(tracker: Any, done: Any) -> None:
        note = "" if done.accuracy is None else f"accuracy {done.accuracy:.1%}"
        changed = done.runs > max(complete, default=0)
        complete.append(done.runs)
        detail = f"{done.runs} of {len(runs)} runs complete, {note}".rstrip(", ")
        tracker.update(done.rounds, note, detail if changed else "")

    with (
        reporter.tracker(f"{title}{len(runs)} run{'s' * (len(runs) != 1)}", total) as tracker,
        backend.start(root, len(runs), reporter.note) as started,
        resumable(lambda: "the same command completes the missing runs"),
    ):
        yield {
            "root": root,
            "executor": started.executor,
            "jobs": started.jobs,
            "stops": started.stops,
            "data_root": data_root and backend.path(data_root),
            "on_progress": partial(on_progress, tracker),
            "notify": reporter.note,
        }
