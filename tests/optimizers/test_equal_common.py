"""Equal bands with one ratio for all clients."""

import numpy as np
import pytest
from helpers.problems import problem, scenario_rates, scenario_s

from optimizers import Equal, EqualCommon


def test_table_1_of_wfl():
    """Equal resource pruning: 36.8 ms at a mean ratio of 0.594 (Table I: 38 ms), while single
    clients are late.
    """
    gain = np.random.default_rng(0).gamma(4.0, 1.0, (500, 10))
    a = EqualCommon().solve(scenario_s(rate_bps=scenario_rates(gain)))
    assert 1e3 * a.latency_s.max(axis=-1).mean() == pytest.approx(36.8, abs=0.7)
    assert a.pruning_ratio.mean() == pytest.approx(0.594, abs=0.005)


def test_everybody_prunes_the_mean_of_the_own_ratios():
    p = scenario_s()
    a = EqualCommon().solve(p)
    np.testing.assert_allclose(a.pruning_ratio, Equal().solve(p).pruning_ratio.mean())
    np.testing.assert_array_equal(a.bandwidth_fraction, 0.1)
    assert a.latency_s.min() < 0.025 < a.latency_s.max()


def test_a_late_client_is_out_and_does_not_count():
    a = EqualCommon().solve(problem([1.0, 1.0, -1.0], [1.0, 3.0, 1.0], 1.0))
    np.testing.assert_allclose(a.pruning_ratio, [(3 / 4 + 5 / 6) / 2] * 2 + [1.0])
    assert a.bandwidth_fraction[2] == 0


def test_all_late():
    a = EqualCommon().solve(problem([-1.0, -2.0], 1.0, 1.0))
    np.testing.assert_array_equal(a.pruning_ratio, 1.0)
