"""Power control at given ratios: a geometric program, a few percent cheaper than full power."""

import math

import cvxpy as cp
import numpy as np
import pytest

from optimizers import JointProblem, minimise_energy

BANDWIDTH_HZ, DEADLINE_S, POWER_W, CAPACITANCE = 20e6, 0.025, 0.2, 1e-28
RATE_BPS = np.array([220e6, 150e6, 90e6, 60e6])
FIXED_CYCLES, PRUNABLE_CYCLES, BITS, CPU_HZ = 1.5e7, 3e7, 530_000, (5e8, 3e9)
TERMS = 25  # of the exponential series; the exponent is below 6


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
    problem = JointProblem(
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
    at_full_power_j = minimise_energy(problem, 0.85).energy_j.sum()
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
