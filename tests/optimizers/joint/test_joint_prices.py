"""Prices of joint answers against finite differences, with clients decades apart."""

from dataclasses import fields, replace

import numpy as np
import pytest

from optimizers import JointAllocation, JointProblem, minimise_energy, solve_joint

CELLS, CLIENTS, STEP = 30, 3, 1e-6
PARAMETERS = [
    ("rate_bps", None),
    ("deadline_s", None),
    *(("energy_budget_j", k) for k in range(CLIENTS)),
]


def heterogeneous(seed: int) -> JointProblem:
    """Cells (CELLS, CLIENTS): rates and weights over six decades, budgets that bind or not."""
    rng, shape = np.random.default_rng(seed), (CELLS, CLIENTS)
    return JointProblem(
        deadline_s=0.025 * 10.0 ** rng.uniform(-0.3, 0.3, (CELLS, 1)),
        fixed_cycles=rng.uniform(1e6, 2e7, shape),
        prunable_cycles=rng.uniform(1e6, 6e7, shape),
        upload_bits=10.0 ** rng.uniform(4, 6.5, shape),
        rate_bps=10.0 ** rng.uniform(4, 10, shape),
        power_w=rng.uniform(0.05, 0.7, shape),
        cpu_min_hz=rng.uniform(2e8, 1e9, shape),
        cpu_max_hz=rng.uniform(2e9, 4e9, shape),
        energy_budget_j=10.0 ** rng.uniform(-2.5, -1, shape)
        * np.where(rng.random(shape) < 0.2, 1e9, 1.0),
        weight=10.0 ** rng.uniform(-4, 2, shape),
        max_pruning_ratio=rng.choice([1.0, 0.999, 0.9], (CELLS, 1)),
    )


def perturbed(problem: JointProblem) -> JointProblem:
    """`problem` with each parameter times 1 - STEP, 1 and 1 + STEP.

    The shape is (parameters, 3, CELLS, CLIENTS).
    """
    values = {
        field.name: np.array(
            np.broadcast_to(getattr(problem, field.name), (len(PARAMETERS), 3, CELLS, CLIENTS))
        )
        for field in fields(problem)
    }
    factor = np.array([1 - STEP, 1.0, 1 + STEP])[:, None]
    for row, (name, client) in enumerate(PARAMETERS):
        if client is None:
            values[name][row] *= factor[..., None]
        else:
            values[name][row, ..., client] *= factor
    return JointProblem(**values)


def check_prices(
    answer: JointAllocation, value: np.ndarray, size: np.ndarray, counted: np.ndarray
) -> None:
    """Prices times parameters equal central differences, at a kink lie between one-sided ones."""
    problem, middle = answer.problem, (0, 1)
    claimed = np.stack(
        [
            answer.bandwidth_price[middle],
            answer.deadline_price[middle] * problem.deadline_s[middle][:, 0],
            *(answer.energy_price * problem.energy_budget_j)[middle].T,
        ]
    )
    left, right = (value[:, 1] - value[:, 0]) / STEP, (value[:, 2] - value[:, 1]) / STEP
    rounding = 1e-15 / STEP * size
    steepest = np.maximum(np.abs(left), np.abs(right))
    kinked = np.abs(left - right) > 1e-3 * steepest + rounding
    tolerance = 2e-5 * steepest + rounding
    off = np.where(
        kinked,
        np.maximum(np.minimum(left, right) - claimed, claimed - np.maximum(left, right)),
        np.abs((left + right) / 2 - claimed),
    )
    assert np.all((off <= tolerance)[:, counted])


@pytest.mark.parametrize("seed", range(2))
def test_prices_are_derivatives_in_heterogeneous_cells(seed):
    answer = solve_joint(perturbed(heterogeneous(seed)))
    problem = answer.problem
    whole_band = (answer.bandwidth_fraction[0, 1] > 1 - 1e-12).any(axis=-1)
    assert whole_band.sum() >= 3  # cells in which one client takes the whole band
    value = (problem.weight * (1 - answer.pruning_ratio)).sum(axis=-1)
    total = problem.weight[0, 1].sum(axis=-1)
    check_prices(answer, value, total, np.ones(CELLS, dtype=bool))


def test_prices_of_the_least_energy_are_derivatives_in_heterogeneous_cells():
    problem = replace(heterogeneous(2), max_pruning_ratio=1.0)
    most = 1 - solve_joint(problem).pruning_ratio
    kept = most * np.random.default_rng(2).uniform(0.5, 0.99, (CELLS, 1))
    answer = minimise_energy(perturbed(problem), 1 - kept)
    served = np.isfinite(answer.duality_gap[0, 1])
    assert served.sum() >= 20
    energy_j = np.where(np.isfinite(answer.energy_j), answer.energy_j, 0.0).sum(axis=-1)
    check_prices(answer, -energy_j, energy_j[0, 1], served)


def test_the_price_of_the_band_where_one_client_takes_all_of_it():
    problem = JointProblem(
        deadline_s=0.025,
        fixed_cycles=1.5e7,
        prunable_cycles=3e7,
        upload_bits=530_000,
        rate_bps=np.array([60e6, 1e6]),
        power_w=0.2,
        cpu_min_hz=5e8,
        cpu_max_hz=3e9,
        energy_budget_j=0.03,
        weight=np.array([1.0, 0.1]),
    )
    answer = solve_joint(problem)
    np.testing.assert_allclose(answer.bandwidth_fraction, [1.0, 0.0], atol=1e-12)
    more, less = (
        (
            problem.weight
            * (1 - solve_joint(replace(problem, rate_bps=problem.rate_bps * f)).pruning_ratio)
        ).sum()
        for f in (1 + 1e-6, 1 - 1e-6)
    )
    assert answer.bandwidth_price == pytest.approx((more - less) / 2e-6, rel=1e-6)
