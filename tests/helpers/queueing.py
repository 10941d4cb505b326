"""Poisson jobs at a SimPy server and work that yields to them: the reference of `cpu.work`."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

# Priorities at the server: the smaller number goes first.
URGENT = 0
BACKGROUND_WORK = 1


@dataclass(frozen=True, kw_only=True)
class Job:
    """Times of one job, in simulated seconds.

    Attributes:
        arrived_s: Arrival in the queue.
        started_s: Start of the service.
        finished_s: End of the service.
    """

    arrived_s: float
    started_s: float
    finished_s: float

    @property
    def wait_s(self) -> float:
        """Seconds in the queue, without the service."""
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
    """Process without an end: jobs with Poisson arrivals, served first come, first served.

    With one server and service of mean 1/mu this is M/M/1 or M/D/1, whose mean waits are rho / (mu
    - lambda) and half of it. An interrupt of the process stops the arrivals: jobs in the queue are
    still served.

    Args:
        env: SimPy environment.
        server: Server of the jobs.
        rate_hz: Arrival rate lambda in 1/s; gaps between arrivals are exponential.
        service_s: Draw of a service time in s, taken right after the gap of the job.
        rng: Generator of gaps and service times.
        on_done: Function that receives each finished job.

    Yields:
        SimPy events.
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
    """Use the server while no job is present: an arriving job interrupts, the rest is done later.

    An interrupt that is not a job's is passed on to the caller.

    Args:
        env: SimPy environment.
        server: Server of the jobs.
        seconds: Time of the server in s.
        note: Function that receives "interrupted" and "resumed".

    Yields:
        SimPy events.
    """
    left_s = seconds
    resumed = False
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
            left_s = left_s - (env.now - started_s)
            resumed = True
            note("interrupted")
