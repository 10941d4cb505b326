"""Signal-to-noise ratio, Shannon's rate and thermal noise."""

import numpy as np
import pytest

from wirelessfl.radio.snr_and_rate import shannon_rate_bps, snr, thermal_noise_w


def test_rate_by_hand():
    assert float(snr(2e-12, 0.5, 1e-13)) == pytest.approx(10.0)
    assert float(shannon_rate_bps(20e6, 3.0)) == 40e6
    assert float(shannon_rate_bps(20e6, 0.0)) == 0.0


def test_rate_in_scenario_s_is_in_megabits():
    """12 dB to 32 dB of SNR on 20 MHz: 80 to 220 Mbit/s. A factor of 8 or of 1e3 would show."""
    rate_bps = shannon_rate_bps(20e6, snr(4 * 10**-13.06, 0.631, 1e-14))
    assert 80e6 < float(rate_bps) < 220e6


def test_shapes_broadcast():
    rate_bps = shannon_rate_bps(
        np.array([[1e6], [2e6]]), snr(np.ones(3), 1.0, np.array([1.0, 2.0, 4.0]))
    )
    assert rate_bps.shape == (2, 3)
    np.testing.assert_allclose(rate_bps[1], 2 * rate_bps[0])


def test_thermal_noise_is_minus_174_dbm_per_hertz():
    assert float(thermal_noise_w(1.0)) == pytest.approx(10**-20.4, rel=1e-12)
    assert float(thermal_noise_w(20e6, noise_figure_db=9.0)) == pytest.approx(
        20e6 * 10**-19.5, rel=1e-12
    )
