"""Place where the runs of a campaign execute: processes of this machine or a Dask cluster."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from studies.runner.processes import worker_processes
from studies.runner.task import Stop
from wirelessfl.errors import InputError


@dataclass(frozen=True)
class Started:
    """A backend that has been started.

    Attributes:
        executor: Runs the tasks.
        jobs: Number of tasks that it runs at the same time.
        stops: Conditions under which every run of the campaign stops.
    """

    executor: Executor
    jobs: int
    stops: tuple[Stop, ...] = ()


@dataclass(frozen=True)
class Backend:
    """Backend of a campaign: processes of this machine or a cluster.

    Attributes:
        jobs: Number of worker processes on this machine.
        cluster: Address of a Dask scheduler whose workers run the campaign, or None.
        gather: Workers run in folders of their own and send them; otherwise the run folders lie on
            a file system that all machines share.
        stops: Conditions under which the runs stop.

    Raises:
        InputError: `gather` is set without `cluster`.
    """

    jobs: int = 1
    cluster: str | None = None
    gather: bool = False
    stops: tuple[Stop, ...] = ()

    def __post_init__(self) -> None:
        if self.gather and self.cluster is None:
            raise InputError("--gather must be given with --cluster ADDRESS, got no cluster")

    def path(self, path: Path) -> Path:
        """The path that names a folder in all processes: absolute for a cluster."""
        return path if self.cluster is None else path.absolute()

    @contextmanager
    def start(
        self, root: Path, runs: int, notify: Callable[[str], None] = lambda line: None
    ) -> Iterator[Started]:
        """Start the processes, or connect to the cluster.

        Args:
            root: The folder of the run folders.
            runs: Number of runs.
            notify: Receives messages for the user, one line each.

        Yields:
            The executor.

        Raises:
            InputError: The cluster does not answer, or its workers cannot run the campaign.
        """
        if self.cluster is None:
            jobs = max(1, min(self.jobs, runs))
            with worker_processes(jobs, notify) as executor:
                yield Started(executor, jobs, self.stops)
            return
        from studies.runner.cluster import cluster

        connected = cluster(self.cluster, root, gather=self.gather, notify=notify)
        with connected as (executor, jobs, stop):
            yield Started(executor, jobs, (stop, *self.stops))
