"""Equal bands with individual pruning ratios."""

import numpy as np
import pytest
from helpers.problems import problem, scenario_rates, scenario_s

from optimizers import Equal


def test_every_client_finishes_at_the_deadline_with_its_own_ratio():
    a = Equal().solve(scenario_s())
    np.testing.assert_array_equal(a.bandwidth_fraction, 0.1)
    np.testing.assert_allclose(a.latency_s, 0.025, rtol=1e-12)
    assert np.all(np.diff(a.pruning_ratio) > 0)
    assert (a.bandwidth_price, a.deadline_price) == (0.0, 0.0)


def test_mean_own_ratio_of_the_fading_scenario():
    gain = np.random.default_rng(0).gamma(4.0, 1.0, (500, 10))
    a = Equal().solve(scenario_s(rate_bps=scenario_rates(gain)))
    assert a.pruning_ratio.mean() == pytest.approx(0.594, abs=0.005)


def test_by_hand():
    # b = 1/2: client 0 keeps 1 / (1 + 2) of its work, client 1 all, client 2's fixed work is late.
    a = Equal().solve(problem([1.0, 5.0, -1.0], 1.0, [2 / 3, 1.0, 1.0]))
    np.testing.assert_allclose(a.pruning_ratio, [2 / 3, 0.0, 1.0])
    np.testing.assert_allclose(a.bandwidth_fraction, [1 / 3, 1 / 3, 0.0])
    assert list(a.status) == ["active", "unpruned", "infeasible"]


def test_fixed_bits_take_their_time_first():
    p = scenario_s(fixed_upload_bits=16_560.0)
    a = Equal().solve(p)
    taking_part = a.pruning_ratio < 1
    assert taking_part.any()
    np.testing.assert_allclose(a.latency_s[taking_part], 0.025, rtol=1e-12)
    assert np.all(a.pruning_ratio > Equal().solve(scenario_s()).pruning_ratio)


def test_nothing_to_do_with_nothing_left_is_done_in_time():
    a = Equal().solve(problem([0.0, 0.0], 0.0, [0.0, 1.0]))
    np.testing.assert_array_equal(a.pruning_ratio, [0.0, 1.0])


def test_the_deadline_wins_over_a_cap():
    a = Equal().solve(scenario_s(max_pruning_ratio=0.5))
    assert np.all(a.latency_s <= 0.025 * (1 + 1e-9))
    np.testing.assert_array_equal(a.status == "infeasible", a.pruning_ratio > 0.5)
