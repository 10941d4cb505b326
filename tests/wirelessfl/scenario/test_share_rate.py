"""Goodput of a fraction of the band: weak signals, and its pieces against the link itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.radio.snr_and_rate import shannon_rate_bps
from wirelessfl.scenario.link import RATE_MODELS, Link

CHECKED = settings(max_examples=40, deadline=None, derandomize=True)
SNR = np.array([1e-3, 0.05, 0.3, 2.0, 30.0, 1e4, 1e8])
BANDS = np.geomspace(1e-9, 1.0, 4001)[:, None]
links = st.builds(
    Link,
    rate_model=st.sampled_from(RATE_MODELS),
    snr_gap_db=st.sampled_from([0.0, 2.0]),
    max_bps_hz=st.sampled_from([None, 100.0, 4.0, 0.1]),
    packet_error=st.sampled_from(["none", "waterfall"]),
    waterfall_threshold=st.sampled_from([1e-3, 0.5, 30.0]),
)


def problem_of(link, snr=SNR):
    return NoisePsdProblem(
        deadline_s=0.05,
        fixed_s=0.0,
        prunable_s=0.01,
        upload_bits=1e5,
        snr=snr,
        bandwidth_hz=1e6,
        link=link,
    )


@pytest.mark.parametrize("snr", [1e-15, 1e-17, 1e-300])
def test_a_weak_signal_keeps_its_rate(snr):
    """log2(1 + x) = x / ln 2 to rounding; 1 + x is 11 % off at 1e-15 and 1 at 1e-17."""
    expected = pytest.approx(snr / np.log(2.0), rel=1e-14, abs=0)
    assert float(shannon_rate_bps(1.0, snr)) == expected
    assert float(Link().efficiency_bps_hz(snr)) == expected
    assert float(Link().share_bps_hz(1.0, snr)) == expected
    assert float(problem_of(Link(), [snr]).by_speed.rate_bps[0]) == pytest.approx(
        1e6 * snr / np.log(2.0), rel=1e-14
    )


@CHECKED
@given(links)
def test_the_largest_rate_of_any_share_is_the_unit_of_speed(link):
    p = problem_of(link)
    speed = p.speed(BANDS)
    assert speed.max() <= 1 + 1e-12
    np.testing.assert_allclose(p.speed(p.peak_band), 1.0, rtol=1e-12)


@CHECKED
@given(links, st.floats(1e-6, 1.0))
def test_the_least_band_of_a_speed_has_it_and_no_narrower_one_does(link, speed):
    p = problem_of(link)
    band = p.band_at(np.full(SNR.size, speed))
    np.testing.assert_array_less(speed * (1 - 1e-11), p.speed(band))
    enough = p.speed(BANDS) >= speed * (1 + 1e-12)
    first = np.where(enough.any(axis=0), BANDS[enough.argmax(axis=0), 0], np.inf)
    assert np.all(band <= first * (1 + 1e-12))


@CHECKED
@given(links)
def test_the_pace_is_the_derivative_of_the_speed(link):
    p = problem_of(link)
    band = np.array([0.0123, 0.117, 0.513, 0.9871])[:, None]
    step = 1e-6 * band
    rising = (p.speed(band + step) - p.speed(band - step)) / (2 * step)
    before_end = band / SNR < p.pieces.widest[-1]
    np.testing.assert_allclose(p.pace(band)[before_end], rising[before_end], rtol=1e-4, atol=1e-6)
    assert np.all(p.pace(band)[~before_end] == 0)


def test_a_speed_beyond_the_largest_rate_has_no_band():
    p = problem_of(Link(rate_model="cqi"), [1e-3, 0.0])
    assert p.band_at([1.001, np.inf]).tolist() == [np.inf, np.inf]
    assert p.band_at([0.0, 0.0]).tolist() == [0.0, 0.0]
