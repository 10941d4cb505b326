"""A run, or a batch of runs, as a value that any executor can send to its processes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from studies.runner.batched_runs import run_stacked
from studies.runner.single_run import run_to_end

Stop = Callable[[], bool]  # can be pickled; true stops a run after the round in progress
Ended = tuple[list[str], Mapping[Path, BaseException | None]]  # notes, and how each run ended


class OutOfTime(Exception):
    """The time of a campaign has ended before its runs were complete."""


@dataclass(frozen=True)
class Until:
    """True from a moment on.

    Attributes:
        time_s: Seconds since the epoch, on the clock of the process that asks.
    """

    time_s: float

    def __call__(self) -> bool:
        """Compare with the clock."""
        return time.time() >= self.time_s


@dataclass(frozen=True)
class RunTask:
    """Runs that one process completes.

    Attributes:
        tomls: Run folder -> experiment as TOML.
        data_root: The folder of the data sets.
        batched: Whether to train the runs as one program; one run otherwise.
        stops: The runs stop, with a checkpoint, when one of these is true.
    """

    tomls: Mapping[Path, str]
    data_root: Path | None = None
    batched: bool = False
    stops: tuple[Stop, ...] = ()

    def stopped(self) -> bool:
        """True when the runs have to stop."""
        return any(stop() for stop in self.stops)

    def under(self, root: Path) -> "RunTask":
        """The task with its run folders under another folder."""
        return replace(self, tomls={root / path.name: toml for path, toml in self.tomls.items()})


def execute(task: RunTask) -> Ended:
    """Complete the runs of a task.

    Args:
        task: The task.

    Returns:
        Messages for the user, and for every run None or its error.

    Raises:
        InputError: The only run cannot be run.
    """
    if task.batched:
        return run_stacked(task.tomls, task.data_root, task.stopped)
    ((path, toml),) = task.tomls.items()
    return run_to_end(path, toml, task.data_root, task.stopped), {path: None}
