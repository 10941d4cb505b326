"""Gains to plan with under imperfect channel state information."""

import numpy as np
import pytest
from scipy import stats

from wirelessfl.errors import InputError
from wirelessfl.radio.csi import outage_gain, worst_gain


def test_one_antenna_has_the_closed_form():
    mean = np.array([1e-12, 3e-11])
    np.testing.assert_allclose(outage_gain(mean, 0.05), -mean * np.log(0.95), rtol=1e-13)


@pytest.mark.parametrize("antennas", [1, 2, 4, 16])
@pytest.mark.parametrize("outage", [1e-6, 0.05, 0.5, 0.99])
def test_the_fading_falls_short_of_it_with_that_probability(antennas, outage):
    gain = outage_gain(4e-11, outage, antennas)
    assert stats.gamma(antennas, scale=4e-11 / antennas).cdf(gain) == pytest.approx(
        outage, rel=1e-10
    )


def test_more_antennas_or_more_outage_leave_more_gain():
    gains = [[float(outage_gain(1.0, eps, m)) for m in (1, 4, 64)] for eps in (0.01, 0.1)]
    assert gains[0] == sorted(gains[0])
    assert all(few < many for few, many in zip(*gains, strict=True))


def test_the_worst_gain_is_a_share_of_the_estimate():
    np.testing.assert_array_equal(worst_gain([2.0, 4.0], 0.25), [1.5, 3.0])
    assert worst_gain(2.0, 0.0) == 2.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: outage_gain(1.0, 0.0), "outage must be above 0, got 0"),
        (lambda: outage_gain(1.0, 1.0), "outage must be at most 0.99, got 1"),
        (lambda: outage_gain(-1.0, 0.1), "mean_gain must be above 0, got -1"),
        (lambda: outage_gain(1.0, 0.1, 0), "antennas must be a whole number of at least 1, got 0"),
        (lambda: worst_gain(1.0, 1.0), "relative_error must be at most 0.99, got 1"),
    ],
)
def test_bad_input_is_one_line(call, message):
    with pytest.raises(InputError, match=message):
        call()
