"""The maximum of sum w log x(b) over sum b <= 1 for any curve, by bracketing."""

import numpy as np

from optimizers._waterfilling.curve import Curve
from optimizers._waterfilling.root_finding import bracket, share_band
from wirelessfl.allocation.problem import Array

_LEAST_BAND = 1e-300  # where the logarithm of a band begins
_LEAST_KEPT = 1e-300


def log_sum(curve: Curve) -> tuple[Array, Array]:
    """Maximise sum w log x(b) over sum b <= 1.

    log x(b) is concave like x, so every client that uses band has the one at which its gain w x'(b)
    / x(b) has fallen to one price, within its bounds. That band is bracketed in its logarithm, and
    around it the price.

    Args:
        curve: The problem in band fractions, arrays (..., K).

    Returns:
        Bands, (..., K), and the price of the whole band, (...,), 0 where band is left over.
    """
    uses = curve.uses_band
    spare = ((curve.ceiling <= 1.0) | ~uses).all(axis=-1) & (
        curve.top.sum(axis=-1) <= 1.0
    ) | ~uses.any(axis=-1)
    low, high = (
        np.log(np.where(uses, np.maximum(end, _LEAST_BAND), 1.0))
        for end in (curve.floor, curve.top)
    )

    def gain(log_band: Array) -> Array:
        band = np.clip(np.exp(log_band), curve.floor, curve.top)
        kept = np.maximum(curve.kept(band), _LEAST_KEPT)
        return np.log(
            np.where(uses, np.maximum(curve.marginal_gain(band), _LEAST_KEPT), 1.0)
        ) - np.log(kept)

    def bands(log_band: Array) -> Array:
        return np.where(uses, np.clip(np.exp(log_band), curve.floor, curve.top), curve.floor)

    def choice(level: Array) -> Array:
        left, right = bracket(lambda log_band: gain(log_band) - level, low, high)
        return left / 2 + right / 2

    chosen, level = share_band(choice, bands, np.stack([gain(high), gain(low)]), uses)
    band = np.where(spare[..., None], curve.top, bands(chosen))
    price = np.where(spare, 0.0, np.exp(level[..., 0]))
    return band / np.maximum(band.sum(axis=-1, keepdims=True), 1.0), price
