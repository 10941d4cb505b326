"""Power control at given ratios: a geometric program, a few percent cheaper than full power."""

import math
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from helpers.joint import joint_problem

from optimizers import (
    JointProblem,
    certify,
    control_power,
    minimise_energy,
    solve_joint,
    solve_joint_power,
)
from wirelessfl.errors import InputError

BANDWIDTH_HZ, DEADLINE_S, POWER_W, CAPACITANCE = 20e6, 0.025, 0.2, 1e-28
RATE_BPS = np.array([220e6, 150e6, 90e6, 60e6])
FIXED_CYCLES, PRUNABLE_CYCLES, BITS, CPU_HZ = 1.5e7, 3e7, 530_000, (5e8, 3e9)
TERMS = 25  # of the exponential series; the exponent is below 6


PROBLEM = JointProblem(
    deadline_s=DEADLINE_S,
    fixed_cycles=FIXED_CYCLES,
    prunable_cycles=PRUNABLE_CYCLES,
    upload_bits=BITS,
    rate_bps=RATE_BPS,
    power_w=POWER_W,
    cpu_min_hz=CPU_HZ[0],
    cpu_max_hz=CPU_HZ[1],
    capacitance=CAPACITANCE,
)


def power_control(kept: float) -> tuple[cp.Problem, cp.Variable, cp.Variable, cp.Variable]:
    """Least energy in mJ over bands, upload and compute times in ms, and so over powers."""
    noise_over_gain_w = POWER_W / (2 ** (RATE_BPS / BANDWIDTH_HZ) - 1)
    cycles, bits = FIXED_CYCLES + kept * PRUNABLE_CYCLES, kept * BITS
    band, upload, compute = (cp.Variable(4, pos=True) for _ in range(3))
    exponent = math.log(2) * bits / BANDWIDTH_HZ * 1e3  # times 1 / (b tau), tau in ms
    energy, limits = 0, [cp.sum(band) <= 1]
    for k in range(4):

        def series(power, k=k):
            """tau^power (2^y - 1)."""
            return sum(
                exponent**n / math.factorial(n) * band[k] ** (-n) * upload[k] ** (power - n)
                for n in range(1, TERMS)
            )

        energy += (
            noise_over_gain_w[k] * series(1) + CAPACITANCE * cycles**3 * 1e9 * compute[k] ** -2
        )
        limits += [
            noise_over_gain_w[k] * series(0) <= POWER_W,
            (compute[k] + upload[k]) / (1e3 * DEADLINE_S) <= 1,
            compute[k] >= 1e3 * cycles / CPU_HZ[1],
            compute[k] <= 1e3 * cycles / CPU_HZ[0],
        ]
    return cp.Problem(cp.Minimize(energy), limits), band, upload, compute


def test_power_control_at_given_ratios_is_a_geometric_programme():
    at_full_power_j = minimise_energy(PROBLEM, 0.85).energy_j.sum()
    program, band, upload, compute = power_control(0.15)
    assert program.is_dgp()
    program.solve(gp=True, solver=cp.CLARABEL)
    efficiency = 0.15 * BITS / (BANDWIDTH_HZ * band.value * upload.value * 1e-3)
    power_w = POWER_W * (2**efficiency - 1) / (2 ** (RATE_BPS / BANDWIDTH_HZ) - 1)
    cycles = FIXED_CYCLES + 0.15 * PRUNABLE_CYCLES
    cpu_j = CAPACITANCE * cycles**3 / (compute.value * 1e-3) ** 2
    energy_j = (power_w * upload.value * 1e-3 + cpu_j).sum()
    assert np.all(power_w < POWER_W)
    assert 1 - energy_j / at_full_power_j == pytest.approx(0.072, abs=0.001)
    found = control_power(PROBLEM, 0.85, bandwidth_hz=BANDWIDTH_HZ)
    assert found.allocation.energy_j.sum() == pytest.approx(energy_j, rel=1e-6)
    np.testing.assert_allclose(found.power_w, power_w, rtol=2e-3)
    assert found.gap < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_no_powers_bands_or_frequencies_are_cheaper(seed):
    """Random points within all limits, and a search from the answer, stay above the bound."""
    rng = np.random.default_rng(seed)
    problem = joint_problem(rng, 4)
    ratio = np.maximum(solve_joint(problem).pruning_ratio, 0.3)
    found = control_power(problem, ratio, bandwidth_hz=BANDWIDTH_HZ)
    answer = found.allocation
    assert found.gap < 1e-9
    assert set(answer.status) <= {"active", "unpruned", "capped", "starved"}
    assert np.all(answer.energy_j <= problem.energy_budget_j * (1 + 1e-9))
    assert np.all(answer.latency_s <= problem.deadline_s * (1 + 1e-9))
    assert np.all(found.power_w <= problem.power_w * (1 + 1e-12))
    full_j = minimise_energy(problem, ratio).energy_j.sum()
    assert answer.energy_j.sum() <= full_j * (1 + 1e-9)
    snr = 2 ** (problem.rate_bps / BANDWIDTH_HZ) - 1
    for _ in range(25):
        share = np.minimum(found.power_w * rng.uniform(0.8, 1.25, 4) / problem.power_w, 1.0)
        rate_bps = BANDWIDTH_HZ * np.log2(1 + snr * share)
        changed = {"power_w": problem.power_w * share, "rate_bps": rate_bps}
        other = minimise_energy(replace(problem, **changed), ratio)
        assert other.duality_gap == np.inf or other.energy_j.sum() >= found.bound * (1 - 1e-9)


def test_powers_and_ratios_alternate_to_a_fixed_point_that_keeps_more():
    gains = []
    for seed in range(4):
        problem = joint_problem(np.random.default_rng(seed), 5)
        found = solve_joint_power(problem, bandwidth_hz=BANDWIDTH_HZ)
        kept = found.kept_weight
        assert np.all(np.diff(kept) > 0)
        assert kept[0] == pytest.approx((problem.weight * solve_joint(problem).kept_fraction).sum())
        assert np.all(found.allocation.energy_j <= problem.energy_budget_j * (1 + 1e-9))
        again = solve_joint(found.allocation.problem)
        assert (problem.weight * again.kept_fraction).sum() == pytest.approx(kept[-1], rel=1e-8)
        assert certify(found.allocation.problem, again).duality_gap < 1e-9
        assert found.gap < 1e-9
        gains.append(kept[-1] / kept[0] - 1)
    assert max(gains) > 0.05


def test_limits_that_cannot_be_met_are_those_of_full_power():
    late = replace(PROBLEM, deadline_s=0.005)
    found = control_power(late, 0.5, bandwidth_hz=BANDWIDTH_HZ)
    assert found.bound == np.inf
    assert found.gap == np.inf
    assert "infeasible" in set(found.allocation.status)
    poor = replace(PROBLEM, energy_budget_j=1e-4)
    assert control_power(poor, 0.5, bandwidth_hz=BANDWIDTH_HZ).bound == np.inf
    silent = control_power(PROBLEM, 1.0, bandwidth_hz=BANDWIDTH_HZ)
    assert silent.gap == 0.0
    assert silent.power_w.tolist() == [POWER_W] * 4


def test_wrong_arguments_are_one_line():
    with pytest.raises(InputError, match="bandwidth_hz must be above 0, got 0"):
        control_power(PROBLEM, 0.5, bandwidth_hz=0.0)
    with pytest.raises(InputError, match="pruning_ratio must be within"):
        control_power(PROBLEM, 1.5, bandwidth_hz=1e6)
    with pytest.raises(InputError, match="steps must be a whole number of at least 1, got 0"):
        solve_joint_power(PROBLEM, bandwidth_hz=1e6, steps=0)
