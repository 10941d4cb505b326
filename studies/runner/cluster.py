"""Runs on the workers of a Dask cluster, given by the address of its scheduler."""

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from studies.runner.gather import GatheringExecutor
from wirelessfl import __version__
from wirelessfl.border.extras import needs_extra
from wirelessfl.errors import InputError

T = TypeVar("T")
CONNECT_S = 10.0
CHECK_S = 2.0  # between two questions whether the campaign has been stopped
TOKEN = ".wirelessfl-campaign-"  # start of a file that shows a worker the shared folder


@dataclass(frozen=True)
class CampaignStop:
    """True once the client of a campaign has been stopped, asked at most every `CHECK_S`.

    Attributes:
        name: Name of an event on the scheduler.
    """

    name: str

    def __call__(self) -> bool:
        """Ask the scheduler."""
        from distributed import Event, get_client

        asked_s, stopped = _ASKED.get(self.name, (0.0, False))
        if not stopped and time.monotonic() > asked_s + CHECK_S:
            stopped = bool(Event(self.name, client=get_client()).is_set())
            _ASKED[self.name] = (time.monotonic(), stopped)
        return stopped


_ASKED: dict[str, tuple[float, bool]] = {}


@dataclass(frozen=True)
class Conditions:
    """Conditions on a worker: the version of the client, and the run folders.

    Attributes:
        version: Version of the package.
        token: File in the shared folder of the run folders; None: runs are gathered.
    """

    version: str
    token: Path | None

    def check(self) -> None:
        """Check this process.

        Raises:
            InputError: It is no worker for the campaign.
        """
        if __version__ != self.version:
            raise InputError(
                f"a worker must have wirelessfl {self.version} like this client, got {__version__}"
            )
        if self.token is not None and not self.token.exists():
            raise InputError(
                f"{self.token.parent} must be a folder that all machines share: a worker does not "
                "see it; add --gather where there is none"
            )


class ClusterExecutor(Executor):
    """Calls on the workers of a cluster that meet the conditions.

    A worker that dies loses its calls to the other workers; a call whose worker dies more often
    than `distributed.scheduler.allowed-failures` ends with an exception that names it.

    Args:
        inner: Executor of the Dask client.
        conditions: Conditions on a worker.
    """

    def __init__(self, inner: Executor, conditions: Conditions) -> None:
        self._inner = inner
        self._conditions = conditions

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Submit a call; see `concurrent.futures.Executor.submit`."""
        return self._inner.submit(_checked, self._conditions, fn, *args, **kwargs)


def _checked(conditions: Conditions, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    conditions.check()
    return call(*args, **kwargs)


@contextmanager
def cluster(
    address: str, root: Path, *, gather: bool, notify: Callable[[str], None]
) -> Iterator[tuple[Executor, int, CampaignStop]]:
    """Connect to a cluster.

    When the context ends with an exception, such as Ctrl-C, calls that have not begun are dropped
    and the others stop after the round in progress.

    Args:
        address: Address of the scheduler, such as `tcp://10.0.0.1:8786`.
        root: The folder of the run folders, absolute.
        gather: Workers run in folders of their own and send them.
        notify: Receives messages for the user, one line each.

    Yields:
        The executor, the number of calls that it runs at the same time, and the condition under
        which its runs stop.

    Raises:
        InputError: Dask is missing, the scheduler does not answer, or a worker does not meet the
            conditions.
    """
    client = _connected(address)
    stop = CampaignStop(f"wirelessfl-{uuid.uuid4().hex}")
    root.mkdir(parents=True, exist_ok=True)
    token = None if gather else root / f"{TOKEN}{uuid.uuid4().hex}"
    try:
        if token is not None:
            token.touch()
        conditions = Conditions(__version__, token)
        _check_workers(address, client, conditions)
        jobs = sum(client.nthreads().values())
        if not jobs:
            notify(f"--cluster {address} has no workers yet: the runs begin when some have joined")
        inner = ClusterExecutor(client.get_executor(pure=False), conditions)
        yield GatheringExecutor(inner) if gather else inner, max(1, jobs), stop
    except BaseException:
        _end(client, stop)
        raise
    finally:
        client.close()
        if token is not None:
            token.unlink(missing_ok=True)


def _connected(address: str) -> Any:
    with needs_extra("dask", "--cluster"):
        import distributed
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is raised
    try:
        return distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split()) or "no answer"
        raise InputError(f"--cluster {address}: no Dask scheduler answers: {reason}") from None


def _check_workers(address: str, client: Any, conditions: Conditions) -> None:
    answers: Mapping[str, Any] = client.run(partial(_checked, conditions, int), on_error="return")
    for worker, answer in answers.items():
        if isinstance(answer, ModuleNotFoundError):
            raise InputError(f"worker {worker} of --cluster {address}: {answer}")
        if isinstance(answer, Exception):
            raise InputError(f"worker {worker} of --cluster {address}: {answer}") from None


def _end(client: Any, stop: CampaignStop) -> None:
    from distributed import Event

    try:
        Event(stop.name, client=client).set()
        client.cancel(list(client.futures.values()))
    except Exception:  # any kind: the scheduler has ended, and with it the campaign; Ctrl-C goes on
        pass
