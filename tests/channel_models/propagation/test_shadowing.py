"""Correlated shadowing: distribution, correlation over distance, reproducibility."""

import numpy as np
import pytest
from scipy import stats

from channel_models._geometry.motion import Motion
from channel_models._propagation import shadowing as _shadowing
from channel_models._propagation.shadowing import over_distance
from wirelessfl.rng import Streams
from wirelessfl.values import Scenario

CLIENTS = 3000
SCENARIO = Scenario(clients=CLIENTS)
WALK = Motion(motion="velocity", speed_m_s=2.0, round_interval_s=1.0, roam_radius_m=1e4)
START = np.tile([100.0, 0.0], (CLIENTS, 1))
CORRELATION = np.array([10.0, 50.0])


def values(motion, round, *, seed=4, clients=CLIENTS, correlation=CORRELATION):
    correlation_m = np.tile(correlation[:, None], (1, clients))
    scenario = Scenario(clients=clients)
    return over_distance(
        "test", correlation_m, START[:clients], motion, scenario, Streams(seed, round)
    )


def test_every_round_is_standard_normal():
    for round in (0, 1, 7, 70):
        for process in values(WALK, round):
            assert stats.kstest(process, stats.norm.cdf).pvalue > 0.01


@pytest.mark.parametrize(("first", "second"), [(0, 1), (0, 5), (3, 28), (60, 68)])
def test_correlation_falls_exponentially_with_the_distance_moved(first, second):
    before, after = values(WALK, first), values(WALK, second)
    for process, length_m in enumerate(CORRELATION):
        expected = np.exp(-2.0 * (second - first) / length_m)
        products = before[process] * after[process]
        # the variance of a product of two standard normals with correlation r is 1 + r^2
        assert products.mean() == pytest.approx(
            expected, abs=4 * np.sqrt((1 + expected**2) / CLIENTS)
        )


def test_step_has_the_variance_of_an_autoregression():
    """x' - r x = sqrt(1 - r^2) n, independent of x."""
    before, after = values(WALK, 4), values(WALK, 5)
    kept = np.exp(-2.0 / CORRELATION)[:, None]
    fresh = (after - kept * before) / np.sqrt(1 - kept**2)
    for process in range(2):
        assert stats.kstest(fresh[process], stats.norm.cdf).pvalue > 0.01
        assert abs(np.mean(fresh[process] * before[process])) < 4 / np.sqrt(CLIENTS)


def test_processes_and_clients_are_independent():
    first, second = values(WALK, 3)
    assert abs(np.mean(first * second)) < 4 / np.sqrt(CLIENTS)
    assert abs(np.mean(first[1:] * first[:-1])) < 4 / np.sqrt(CLIENTS)


def test_who_stands_still_keeps_the_value():
    np.testing.assert_array_equal(values(Motion(), 50), values(Motion(), 0))


def test_resumed_is_uninterrupted():
    straight = [values(WALK, round, clients=5) for round in range(150)]
    for order in ([149], [70, 149], [149, 3, 149], [64, 63, 65, 149]):
        _shadowing._latest.clear()
        _shadowing._innovations.cache_clear()
        for round in order:
            np.testing.assert_array_equal(values(WALK, round, clients=5), straight[round])


def test_value_does_not_depend_on_the_other_clients_nor_on_other_runs():
    many = values(WALK, 9, clients=8)
    values(WALK, 20, clients=8, seed=5)
    np.testing.assert_array_equal(values(WALK, 9, clients=3), many[:, :3])
    assert not np.any(values(WALK, 9, clients=8, seed=5) == many)
    faster = Motion(motion="velocity", speed_m_s=4.0, round_interval_s=1.0, roam_radius_m=1e4)
    assert not np.any(values(faster, 9, clients=8) == many)
    np.testing.assert_array_equal(values(WALK, 9, clients=8), many)


def test_little_is_kept():
    for seed in range(100):
        values(WALK, 1, clients=1, seed=seed)
    assert len(_shadowing._latest) <= 32
