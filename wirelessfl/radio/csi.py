"""Gains to plan with under imperfect channel state information.

The rate rises with the gain, so a constraint that must hold for all but a fraction of the fading
states, or for every error within a bound, is the same constraint at one smaller gain: the outage
quantile, or the worst case.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.errors import check_count, check_number

Array = NDArray[np.float64]
MOST = 0.99  # largest outage and relative error


def outage_gain(mean_gain: ArrayLike, outage: float, antennas: int = 1) -> Array:
    """Gain below which Rayleigh fading falls with a given probability.

    P(h < h_eps) = eps for h = (mean / M) Gamma(M, 1), maximum-ratio combining over M antennas; with
    one antenna h_eps = -mean ln(1 - eps).

    Args:
        mean_gain: Mean linear power gain; any shape, above 0.
        outage: Probability eps; above 0, at most 0.99.
        antennas: Number M of receive antennas; at least 1.

    Returns:
        Linear power gain h_eps; the shape of `mean_gain`.

    Raises:
        InputError: An argument is outside its limits.
    """
    from scipy.special import gammaincinv  # slow to import, and most channels do not need it

    check_number("mean_gain", np.ravel(mean_gain).tolist(), above=0)
    check_number("outage", outage, above=0, at_most=MOST)
    check_count("antennas", antennas)
    quantile: Array = (
        np.asarray(mean_gain, dtype=np.float64) / antennas * gammaincinv(antennas, outage)
    )
    return quantile


def share_of_outage(outage: float, clients: int) -> float:
    """Outage of each of K clients that fade independently, with which that of any is `outage`.

    Args:
        outage: Probability eps that at least one client is in outage; within (0, 1).
        clients: Number K of clients.

    Returns:
        Probability 1 - (1 - eps)^(1/K).
    """
    return float(-np.expm1(np.log1p(-outage) / clients))


def worst_gain(gain: ArrayLike, relative_error: float) -> Array:
    """Smallest gain (1 - e) h with an estimate h whose error is at most e h.

    Args:
        gain: Estimate h of the linear power gain; any shape.
        relative_error: Bound e; from 0 to 0.99.

    Returns:
        Linear power gain; the shape of `gain`.

    Raises:
        InputError: The bound is outside its limits.
    """
    check_number("relative_error", relative_error, at_least=0, at_most=MOST)
    worst: Array = (1.0 - relative_error) * np.asarray(gain, dtype=np.float64)
    return worst
