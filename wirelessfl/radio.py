"""Radio physics that every room shares: signal-to-noise ratio and Shannon's rate."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.units import db_to_linear

Array = NDArray[np.float64]


def snr(gain: ArrayLike, transmit_power_w: ArrayLike, noise_power_w: ArrayLike) -> Array:
    """Linear signal-to-noise ratio h p / sigma^2; any shape, watt."""
    return np.asarray(gain, dtype=np.float64) * np.asarray(transmit_power_w) / np.asarray(noise_power_w)


def shannon_rate_bps(bandwidth_hz: ArrayLike, snr: ArrayLike) -> Array:
    """B log2(1 + SNR) in bit/s, eq. (13) of [WFL] for the whole band; any shape, hertz.

    The noise power of eq. (13) does not depend on the share of the band (erratum W6), so a client with fraction b
    of the band has b times this rate.
    """
    return np.asarray(bandwidth_hz, dtype=np.float64) * np.log2(1.0 + np.asarray(snr, dtype=np.float64))


def thermal_noise_w(bandwidth_hz: ArrayLike, noise_figure_db: float = 0.0) -> Array:
    """Thermal noise power in watt: -174 dBm/Hz + 10 log10(W / Hz) + noise figure; any shape."""
    density_w_per_hz = 1e-3 * db_to_linear(-174.0 + noise_figure_db)
    return density_w_per_hz * np.asarray(bandwidth_hz, dtype=np.float64)
