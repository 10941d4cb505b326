"""Processors: frequency scaling against closed forms, background load against queueing theory."""

import dataclasses

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import AllocationProblem
from wirelessfl.cell.cpu import cpu_hz, work
from wirelessfl.errors import InputError
from wirelessfl.scenario.processor import Processor
from wirelessfl.values import Demand, Scenario

LOADED = Processor(cpu="loaded")  # 50 jobs a second of 4 ms: 0.2 of the time
DVFS = Processor(cpu="dvfs")


def planned(scenario, demand, communication_s, ratio):
    """Allocation whose latency is `communication_s` plus the work at the highest frequency."""
    seconds_per_update = scenario.per_client("cycles_per_weight") / scenario.per_client("cpu_hz")
    problem = AllocationProblem(
        deadline_s=scenario.deadline_s,
        fixed_s=seconds_per_update * demand.fixed_updates + communication_s,
        prunable_s=seconds_per_update * demand.prunable_updates,
        upload_bits=0.0,
        rate_bps=1.0,
    )
    zero = np.zeros(())
    band = np.full(scenario.clients, 1 / scenario.clients)
    return Allocation(
        problem=problem,
        bandwidth_fraction=band,
        pruning_ratio=np.asarray(ratio, dtype=float),
        bandwidth_price=zero,
        deadline_price=zero,
    )


def work_only(clients, fixed, prunable):
    return Demand.same_for_all(
        clients,
        fixed_updates=fixed,
        prunable_updates=prunable,
        fixed_upload_bits=0,
        prunable_upload_bits=0,
    )


def test_dvfs_by_hand():
    """1e6 + 0.5 * 2e6 updates of 10 cycles, 20 Mcycles, and a deadline of 100 ms.

    60 ms of transmission leave 40 ms, 0.5 GHz; 10 ms leave 90 ms, for which less than the lowest
    0.3 GHz would do; 85 ms leave 15 ms, too few for 1 GHz, and so do 120 ms.
    """
    scenario = Scenario(
        clients=4, deadline_s=0.1, cpu_hz=1e9, cycles_per_weight=10.0, processor=DVFS
    )
    demand = work_only(4, 1e6, 2e6)
    allocation = planned(scenario, demand, np.array([0.06, 0.01, 0.085, 0.12]), [0.5] * 4)
    found = cpu_hz(scenario, demand, allocation, allocation.latency_s)
    np.testing.assert_allclose(found, [5e8, 3e8, 1e9, 1e9], rtol=1e-12)
    idle = cpu_hz(scenario, work_only(4, 0, 0), allocation, np.full(4, 0.01))
    np.testing.assert_array_equal(idle, np.full(4, 3e8))
    never = cpu_hz(scenario, demand, allocation, np.full(4, np.inf))
    np.testing.assert_array_equal(never, np.full(4, 1e9))


@pytest.mark.parametrize("cpu", ["fixed", "loaded"])
def test_other_processors_run_at_their_frequency(cpu):
    scenario = Scenario(clients=2, cpu_hz=(1e9, 2e9), processor=Processor(cpu=cpu))
    demand = work_only(2, 1e4, 1e4)
    allocation = planned(scenario, demand, np.zeros(2), [0.0, 0.0])
    np.testing.assert_array_equal(
        cpu_hz(scenario, demand, allocation, allocation.latency_s), [1e9, 2e9]
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_dvfs_makes_nobody_late_and_saves_energy(seed):
    """A client on time at the highest frequency is on time at the chosen one, without slack."""
    rng = np.random.default_rng(seed)
    scenario = Scenario(
        clients=8,
        cpu_hz=10 ** rng.uniform(8.5, 9.5, 8),
        cycles_per_weight=rng.uniform(1, 500, 8),
        processor=dataclasses.replace(DVFS, min_cpu_hz=10 ** rng.uniform(7, 8.5)),
    )
    demand = work_only(8, rng.uniform(0, 1e5), rng.uniform(0, 1e5))
    ratio = rng.random(8)
    on_air_s = rng.uniform(0, 0.03, 8)
    allocation = planned(scenario, demand, on_air_s, ratio)
    highest_hz = scenario.per_client("cpu_hz")
    cycles = np.array(scenario.cycles_per_weight) * (
        demand.fixed_updates + (1 - ratio) * demand.prunable_updates
    )
    # The last binding case: a client that finishes exactly at the deadline when it runs as fast as
    # it can.
    on_air_s[0] = max(scenario.deadline_s - cycles[0] / highest_hz[0], 0.0)
    planned_s = on_air_s + cycles / highest_hz
    chosen_hz = cpu_hz(scenario, demand, allocation, planned_s)
    assert np.all(chosen_hz <= highest_hz)
    assert np.all(chosen_hz >= scenario.processor.min_cpu_hz)
    finish_s = on_air_s + cycles / chosen_hz
    on_time = planned_s <= scenario.deadline_s * (1 + 1e-9)
    assert np.all(finish_s[on_time] <= scenario.deadline_s * (1 + 1e-9))
    np.testing.assert_array_equal(chosen_hz[~on_time], highest_hz[~on_time])
    between = on_time & (chosen_hz > scenario.processor.min_cpu_hz) & (chosen_hz < highest_hz)
    np.testing.assert_allclose(finish_s[between], scenario.deadline_s, rtol=1e-12)
    assert np.all(cycles * chosen_hz**2 <= cycles * highest_hz**2)


def test_the_lowest_frequency_is_at_most_the_highest():
    with pytest.raises(
        InputError,
        match=r"scenario\.min_cpu_hz must be at most scenario\.cpu_hz, 1e\+08, got 3e\+08",
    ):
        Scenario(clients=2, cpu_hz=(1e9, 1e8), processor=DVFS)
    Scenario(cpu_hz=1e8)  # no client scales: the lowest frequency has no effect


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"cpu": "slow"}, r"scenario\.cpu must be one of fixed, dvfs, loaded; got 'slow'"),
        ({"min_cpu_hz": 0.0}, r"scenario\.min_cpu_hz must be above 0, got 0"),
        ({"background_rate_hz": 1e12}, r"background_rate_hz must be at most 100000, got 1e\+12$"),
        (
            {"background_rate_hz": 250.0},
            r"background_rate_hz x background_job_s must be at most 0\.99, got 1$",
        ),
        (
            {"background": "uniform"},
            r"scenario\.background must be one of exponential, deterministic; got 'uniform'",
        ),
    ],
)
def test_wrong_settings_are_one_line(wrong, line):
    with pytest.raises(InputError, match=line):
        Processor(**wrong)


def run_work(processor, seconds, seed):
    """The time at which the work is done, and the trace until then."""
    env = simpy.Environment()
    trace = []

    def client():
        yield from work(
            env, seconds, processor, np.random.default_rng(seed), lambda event: trace.append(event)
        )
        return env.now

    process = env.process(client())
    env.run()
    return process.value, trace


@pytest.mark.parametrize("background", ["exponential", "deterministic"])
def test_background_load_stretches_work(background):
    """Mean time s / (1 - rho) of s seconds of work that find the CPU idle.

    Each of the Poisson(lambda s) arrivals during the work opens a busy period of mean
    b / (1 - rho), so the mean is s (1 + lambda b / (1 - rho)) = s / (1 - rho).
    """
    processor = dataclasses.replace(
        LOADED, background=background, background_rate_hz=125.0
    )  # rho = 0.5
    done_s = np.array([run_work(processor, 0.02, seed)[0] for seed in range(3000)])
    error_s = done_s.std(ddof=1) / np.sqrt(len(done_s))
    assert error_s < 0.001
    assert abs(done_s.mean() - 0.04) < 4 * error_s
    assert done_s.min() == 0.02  # no client participated


def test_work_in_parts_takes_as_long_as_in_one():
    """Two phases of work in sequence on the same CPU: 8 ms and 12 ms as 20 ms, at rho = 0.2."""
    env = simpy.Environment()
    generator = np.random.default_rng(1)
    done_s = []

    def client():
        for _ in range(4000):
            started_s = env.now
            yield from work(env, 0.008, LOADED, generator)
            yield from work(env, 0.012, LOADED, generator)
            done_s.append(env.now - started_s)

    env.process(client())
    env.run()
    error_s = np.std(done_s, ddof=1) / np.sqrt(len(done_s))
    assert abs(np.mean(done_s) - 0.025) < 4 * error_s
    assert error_s < 0.0005


def test_the_trace_tells_of_interruptions():
    for seed in range(50):
        done_s, trace = run_work(LOADED, 0.02, seed)
        assert trace == ["interrupted", "resumed"] * (len(trace) // 2)
        assert (done_s > 0.02) == bool(trace)
    assert run_work(LOADED, 0.02, 7) == run_work(LOADED, 0.02, 7)


@pytest.mark.parametrize(
    "processor", [Processor(), DVFS, dataclasses.replace(LOADED, background_rate_hz=0.0)]
)
def test_without_load_work_takes_its_seconds(processor):
    assert run_work(processor, 0.02, 0) == (0.02, [])


def test_work_of_no_seconds_is_done_at_once():
    assert run_work(LOADED, 0.0, 0) == (0.0, [])


def test_an_interrupt_from_outside_ends_the_load_too():
    """A client that drops out takes its background jobs along: the simulation comes to its end."""
    env = simpy.Environment()

    def client():
        try:
            yield from work(env, 1.0, LOADED, np.random.default_rng(0))
        except simpy.Interrupt:
            return env.now

    def dropout():
        yield env.timeout(0.5)
        process.interrupt()

    process = env.process(client())
    env.process(dropout())
    env.run()
    assert process.value == 0.5
    assert env.now < 1.5
