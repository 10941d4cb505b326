"""The 0/1 knapsack against brute force and a mixed-integer solver."""

import itertools

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from optimizers._knapsack import knapsack


@pytest.mark.parametrize("kind", ["random", "alike", "by size", "few values"])
def test_brute_force_finds_nothing_better(kind):
    rng = np.random.default_rng(1)
    for _ in range(40):
        count = int(rng.integers(1, 11))
        size = rng.uniform(0.05, 1.2, count) * 3 / count
        value = {
            "random": rng.random(count),
            "alike": np.full(count, 0.1),
            "by size": size,
            "few values": rng.choice([0.5, 1.0, 3.0], count),
        }[kind]
        sets = np.array(list(itertools.product([0.0, 1.0], repeat=count)))
        best = (sets @ value)[sets @ size <= 1].max()
        chosen = knapsack(size, value)
        assert size[chosen].sum() <= 1 + 1e-15
        assert value[chosen].sum() == pytest.approx(best, rel=1e-11)


def test_a_mixed_integer_solver_finds_nothing_better():
    rng = np.random.default_rng(2)
    for count in (20, 40, 60):
        size, value = (
            rng.uniform(0.5, 1.5, count) * 3 / count,
            rng.integers(1, 50, count).astype(float),
        )
        found = milp(
            -value,
            integrality=np.ones(count),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(size[None], ub=1.0),
            options={"mip_rel_gap": 0.0},
        )
        assert value[knapsack(size, value)].sum() == pytest.approx(-found.fun, abs=1e-6)


def test_values_that_follow_sizes_are_within_a_millionth():
    size = np.random.default_rng(3).uniform(0.5, 1.5, 60) / 20
    assert 1 - 1e-6 <= size[knapsack(size, size)].sum() <= 1


def test_a_set_a_little_too_large_is_not_taken():
    size, value = np.array([0.5, 0.5 + 1e-12, 0.1]), np.array([2.0, 2.0, 1.0])
    assert knapsack(size, value).tolist() == [True, False, True]
    size[1] = 0.5
    assert knapsack(size, value).tolist() == [True, True, False]


def test_nothing_to_choose_from():
    assert knapsack(np.zeros(0), np.zeros(0)).size == 0
    assert knapsack(np.array([2.0]), np.array([1.0])).tolist() == [False]
