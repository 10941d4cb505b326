"""Gains to plan with when the channel is not known exactly.

The rate rises with the gain, so a constraint that must hold for all but a share of the fading
states, or for every error within a bound, is the same constraint at one smaller gain: the outage
quantile, or the worst case.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.errors import check_count, check_number

Array = NDArray[np.float64]
MOST = 0.99  # the largest outage or relative error that can be asked for


def outage_gain(mean_gain: ArrayLike, outage: float, antennas: int = 1) -> Array:
    """The gain that Rayleigh fading falls short of with probability `outage`; the shape of
    `mean_gain`.

    P(h < h_eps) = eps for h = (mean / M) Gamma(M, 1), maximum-ratio combining over M antennas; with
    one antenna h_eps = -mean ln(1 - eps). Raises `InputError` for an outage that is not above 0 and
    at most 0.99, a gain not above 0, less than 1 antenna.
    """
    from scipy.special import gammaincinv  # slow to import, and most channels never ask

    check_number("mean_gain", np.ravel(mean_gain).tolist(), above=0)
    check_number("outage", outage, above=0, at_most=MOST)
    check_count("antennas", antennas)
    quantile: Array = (
        np.asarray(mean_gain, dtype=np.float64) / antennas * gammaincinv(antennas, outage)
    )
    return quantile


def worst_gain(gain: ArrayLike, relative_error: float) -> Array:
    """(1 - e) h, the least that a gain can be whose estimate h is off by at most e h; the shape of
    `gain`.

    Raises `InputError` for an error outside [0, 0.99].
    """
    check_number("relative_error", relative_error, at_least=0, at_most=MOST)
    worst: Array = (1.0 - relative_error) * np.asarray(gain, dtype=np.float64)
    return worst
