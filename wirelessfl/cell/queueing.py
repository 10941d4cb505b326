"""Queues of the simulated cell: jobs that arrive at a server one after another, and work that gives
way to them.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

URGENT, BACKGROUND_WORK = 0, 1  # priorities at the server: the smaller number goes first


@dataclass(frozen=True, kw_only=True)
class Job:
    """The times of one job, in simulated seconds."""

    arrived_s: float
    started_s: float
    finished_s: float

    @property
    def wait_s(self) -> float:
        """Seconds in the queue, without its service."""
        return self.started_s - self.arrived_s


def poisson_jobs(
    env: simpy.Environment,
    server: simpy.PreemptiveResource,
    *,
    rate_hz: float,
    service_s: Callable[[np.random.Generator], float],
    rng: np.random.Generator,
    on_done: Callable[[Job], None] = lambda job: None,
) -> Generator[Any, Any, None]:
    """Jobs that arrive at `rate_hz` on average and are served first come, first served; a process
    without an end.

    Gaps between arrivals are exponential; `service_s` draws how long a job holds the server, right
    after its gap. With one server and service of mean 1/mu this is M/M/1 or M/D/1, whose mean waits
    are rho / (mu - lambda) and half of it. An interrupt of the process stops arrivals: waiting
    jobs are served.
    """
    try:
        while True:
            yield env.timeout(float(rng.exponential(1.0 / rate_hz)))
            env.process(_served(env, server, float(service_s(rng)), on_done))
    except simpy.Interrupt:
        return


def _served(
    env: simpy.Environment,
    server: simpy.PreemptiveResource,
    seconds: float,
    on_done: Callable[[Job], None],
) -> Generator[Any, Any, None]:
    arrived_s = env.now
    with server.request(priority=URGENT) as turn:
        yield turn
        started_s = env.now
        yield env.timeout(seconds)
    on_done(Job(arrived_s=arrived_s, started_s=started_s, finished_s=env.now))


def giving_way(
    env: simpy.Environment,
    server: simpy.PreemptiveResource,
    seconds: float,
    note: Callable[[str], None] = lambda event: None,
) -> Generator[Any, Any, None]:
    """`seconds` of the server's time while no job wants it: whoever arrives interrupts, the rest is
    done afterwards.

    `note` receives "interrupted" and "resumed". An interrupt that is not a job's is passed on to
    the caller.
    """
    left_s, resumed = seconds, False
    while True:
        with server.request(priority=BACKGROUND_WORK) as turn:
            yield turn
            if resumed:
                note("resumed")
            started_s = env.now
            try:
                yield env.timeout(left_s)
                return
            except simpy.Interrupt as interrupt:
                if not isinstance(interrupt.cause, simpy.resources.resource.Preempted):
                    raise
            left_s, resumed = left_s - (env.now - started_s), True
            note("interrupted")
