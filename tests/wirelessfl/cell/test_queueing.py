"""The reference queue against M/M/1, M/D/1 and Little's law, and the CPU against it."""

import itertools

import numpy as np
import pytest
import simpy
from helpers.queueing import giving_way, poisson_jobs

from wirelessfl.cell.cpu import work
from wirelessfl.scenario.processor import BACKGROUNDS, Processor

RATE_HZ, SERVICE_S = 50.0, 0.01  # rho = 0.5
RHO = RATE_HZ * SERVICE_S
SERVICE = {
    "M/M/1": lambda generator: generator.exponential(SERVICE_S),
    "M/D/1": lambda generator: SERVICE_S,
}


def served(service_s, seed, until_s=100.0):
    """The jobs that a queue has served by `until_s`, in the order in which they left."""
    env = simpy.Environment()
    jobs = []
    server = simpy.PreemptiveResource(env)
    generator = np.random.default_rng(seed)
    env.process(
        poisson_jobs(
            env,
            server,
            rate_hz=RATE_HZ,
            service_s=service_s,
            rng=generator,
            on_done=jobs.append,
        )
    )
    env.run(until=until_s)
    return jobs


@pytest.mark.parametrize(
    ("queue", "mean_wait_s"),
    [("M/M/1", RHO / (1 / SERVICE_S - RATE_HZ)), ("M/D/1", RHO / (2 / SERVICE_S * (1 - RHO)))],
)
@pytest.mark.slow
def test_mean_wait(queue, mean_wait_s):
    """Mean waits rho / (mu - lambda) = 10 ms and rho / (2 mu (1 - rho)) = 5 ms.

    Each run gives one mean; runs are independent.
    """
    assert mean_wait_s == pytest.approx({"M/M/1": 0.01, "M/D/1": 0.005}[queue])
    means = [
        np.mean([job.wait_s for job in served(SERVICE[queue], seed)[200:]]) for seed in range(12)
    ]
    error_s = np.std(means, ddof=1) / np.sqrt(len(means))
    assert error_s < 0.05 * mean_wait_s
    assert abs(np.mean(means) - mean_wait_s) < 4 * error_s


def test_littles_law_and_the_share_of_time_at_work():
    """Little's law L = lambda W with both sides counted, and rho as a time average.

    L is the number of jobs inside over time, W the seconds inside over jobs.
    """
    jobs = served(SERVICE["M/M/1"], seed=3, until_s=200.0)
    arrived_s, left_s = (
        np.array([getattr(job, name) for job in jobs]) for name in ("arrived_s", "finished_s")
    )
    moments_s = np.linspace(0.0, left_s[-1], 200_001)
    inside = np.searchsorted(arrived_s, moments_s, side="right") - np.searchsorted(
        left_s, moments_s, side="right"
    )
    rate_hz, stay_s = len(jobs) / left_s[-1], np.mean(left_s - arrived_s)
    assert inside.mean() == pytest.approx(rate_hz * stay_s, rel=2e-3)
    busy_s = sum(job.finished_s - job.started_s for job in jobs)
    assert (inside > 0).mean() == pytest.approx(busy_s / left_s[-1], abs=2e-3)
    assert busy_s / left_s[-1] == pytest.approx(RHO, abs=0.03)


def test_first_come_first_served_and_never_idle_with_somebody_there():
    jobs = served(SERVICE["M/M/1"], seed=4, until_s=20.0)
    assert [job.arrived_s for job in jobs] == sorted(job.arrived_s for job in jobs)
    for before, job in itertools.pairwise(jobs):
        assert job.started_s == max(job.arrived_s, before.finished_s)


def test_work_gives_way_by_hand():
    """10 s of work with jobs of 2, 1 and 3 s at seconds 3, 4 and 9 are done at second 16."""
    env = simpy.Environment()
    server = simpy.PreemptiveResource(env)
    events = []

    def job(at_s, seconds):
        yield env.timeout(at_s)
        with server.request(priority=0) as turn:
            yield turn
            yield env.timeout(seconds)

    for at_s, seconds in ((3, 2), (4, 1), (9, 3)):
        env.process(job(at_s, seconds))

    def client():
        yield from giving_way(env, server, 10.0, lambda event: events.append((env.now, event)))
        events.append((env.now, "done"))

    env.process(client())
    env.run()
    assert events == [
        (3, "interrupted"),
        (6, "resumed"),
        (9, "interrupted"),
        (12, "resumed"),
        (16, "done"),
    ]


def test_an_interrupt_from_outside_goes_through():
    env = simpy.Environment()
    server = simpy.PreemptiveResource(env)

    def client():
        try:
            yield from giving_way(env, server, 10.0)
        except simpy.Interrupt as interrupt:
            return env.now, interrupt.cause
        return env.now, None

    def outside():
        yield env.timeout(4)
        process.interrupt("gone")

    process = env.process(client())
    env.process(outside())
    env.run()
    assert process.value == (4, "gone")
    assert server.count == 0


def on_a_server(env, seconds, processor, rng, note):
    """The work as a user of a SimPy server that background jobs pre-empt."""
    cpu = simpy.PreemptiveResource(env)
    rate_hz, service_s = processor.background_rate_hz, processor.background_s
    jobs = env.process(poisson_jobs(env, cpu, rate_hz=rate_hz, service_s=service_s, rng=rng))
    try:
        yield from giving_way(env, cpu, seconds, note)
    finally:
        jobs.interrupt()


@pytest.mark.parametrize("service", BACKGROUNDS)
def test_the_cpu_is_the_server_that_background_jobs_pre_empt(service):
    """Two pieces of work from the same draws, some of them cut off by an interrupt."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        job_s = float(rng.uniform(1e-3, 2e-2))
        processor = Processor(
            cpu="loaded",
            background_rate_hz=float(rng.uniform(0.05, 0.9)) / job_s,
            background_job_s=job_s,
            background=service,
        )
        pieces_s, cut_s = rng.uniform(0.0, 0.1, 2), rng.uniform(0.0, 0.4)

        def lived(work, processor=processor, pieces_s=pieces_s, cut_s=cut_s, seed=seed):
            env, events, draws = simpy.Environment(), [], np.random.default_rng([seed, 1])

            def client():
                try:
                    for piece_s in pieces_s:
                        yield from work(
                            env, piece_s, processor, draws, lambda e: events.append((env.now, e))
                        )
                        events.append((env.now, "done"))
                except simpy.Interrupt:
                    events.append((env.now, "cut off"))

            process = env.process(client())
            env.timeout(cut_s).callbacks.append(
                lambda _: process.interrupt() if process.is_alive else None
            )
            env.run(until=50.0)
            return events

        found, expected = lived(work), lived(on_a_server)
        assert [event for _, event in found] == [event for _, event in expected]
        np.testing.assert_allclose(
            [moment for moment, _ in found], [moment for moment, _ in expected], rtol=1e-12
        )
