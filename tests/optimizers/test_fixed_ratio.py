"""Given pruning ratios on equal bands."""

import numpy as np
import pytest
from helpers.problems import PERSONAL_S, scenario_rates, scenario_s

from optimizers import FixedRatio
from wirelessfl.errors import InputError


def test_only_personalisation_on_equal_bands():
    """NOTES 1.6: no pruning, no importance step, b = 1/K: 81.2 ms."""
    gain = np.random.default_rng(0).gamma(4.0, 1.0, (500, 10))
    a = FixedRatio().solve(scenario_s(fixed_s=PERSONAL_S, rate_bps=scenario_rates(gain)))
    assert 1e3 * a.latency_s.max(axis=-1).mean() == pytest.approx(81.2, abs=2.0)


def test_a_ratio_for_each_client():
    ratios = tuple(np.linspace(0, 1, 10))
    a = FixedRatio(pruning_ratio=ratios).solve(scenario_s())
    np.testing.assert_array_equal(a.pruning_ratio, ratios)
    np.testing.assert_array_equal(a.bandwidth_fraction, 0.1)


def test_wrong_number_of_ratios():
    with pytest.raises(
        InputError, match="pruning_ratio must be 1 number or 10, one per client, got 3"
    ):
        FixedRatio(pruning_ratio=(0.1, 0.2, 0.3)).solve(scenario_s())


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan"), (0.5, 2.0)])
def test_bad_ratio(ratio):
    with pytest.raises(InputError, match="pruning_ratio must be"):
        FixedRatio(pruning_ratio=ratio)
