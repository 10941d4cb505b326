"""Max-min fairness: the largest possible smallest kept fraction."""

from dataclasses import dataclass, replace

import numpy as np

from optimizers._waterfilling.curve import Curve, allocation_of
from optimizers._waterfilling.rate_models import curve_of
from optimizers._waterfilling.root_finding import bracket
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import Array, Problem

_MAX_STEPS = 100  # Newton's method needs about 8


@dataclass(frozen=True, kw_only=True)
class MaxMin:
    """max min_k x_k subject to sum_k b_k <= 1, T_k <= deadline, rho_k <= cap, with x_k = 1 - rho_k.

    A client keeps x with the band b_k(x) = (A_k x + A0_k) / (S_k - T_c,k x), the inverse of [WFL]
    eq. (40), or the band of that speed where noise grows with the band; either is increasing and
    convex in x. So all clients keep the same x, the root of sum_k b_k(x) = 1, or 1 where band is
    left over; a client whose cap requires more keeps that instead. Newton's method descends to the
    root from the right; with a cap, a table or packet errors, where bands may jump, the root is
    bisected and band may be left over.

    Weights are ignored. Clients that band cannot help (late, rate 0, no slack, nothing to upload)
    do not lower the common x: they keep as much as they can. Where the caps cannot all be kept they
    are dropped as in `Exact`.

    The prices are those of this objective, dx / d(band) = 1 / sum_k b_k'(x) and dx / d(deadline):
    the weighted sum with weights price * b_k'(x) has this optimum and these prices.
    """

    def solve(self, problem: Problem) -> Allocation:
        """Find the largest common kept fraction.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The allocation with its prices.
        """
        even = replace(problem, weight=1.0)
        curve = curve_of(even)
        kept = _common_kept(even, curve)
        band, slope = _bands(even, curve, kept)
        total = band.sum(axis=-1, keepdims=True)
        steepness = slope.sum(axis=-1, keepdims=True)
        tight = (kept < 1.0) & (steepness > 0)
        price = np.where(tight, 1.0 / np.where(tight, steepness, 1.0), 0.0)
        return allocation_of(
            curve, problem, band / np.maximum(total, 1.0), price[..., 0], price * slope
        )


def _common_kept(problem: Problem, curve: Curve) -> Array:
    """The kept fraction that all clients that use band have in common; (..., 1)."""
    if isinstance(problem, NoisePsdProblem) and not problem.is_shannon:
        most = np.where(curve.uses_band, curve.kept(curve.top), 1.0).min(axis=-1, keepdims=True)
        left = bracket(
            lambda kept: 1.0 - _bands(problem, curve, kept)[0].sum(axis=-1, keepdims=True),
            np.zeros_like(most),
            most,
        )
        return left[0]
    alone = np.where(curve.uses_band, curve.kept(np.ones(problem.shape)), 1.0)
    kept = alone.min(axis=-1, keepdims=True)
    for _ in range(_MAX_STEPS):
        band, slope = _bands(problem, curve, kept)
        excess = band.sum(axis=-1, keepdims=True) - 1.0
        steepness = slope.sum(axis=-1, keepdims=True)
        step = np.where(
            (excess > 0) & (steepness > 0), excess / np.where(steepness > 0, steepness, 1.0), 0.0
        )
        if np.all(step <= 1e-16 * kept):
            break
        kept = np.maximum(kept - step, 0.0)
    return np.asarray(kept)


def _bands(problem: Problem, curve: Curve, kept: Array) -> tuple[Array, Array]:
    """b_k(x) and b_k'(x) = 1 / x_k'(b); the floor and 0 where that is more; (..., K)."""
    uses = curve.uses_band
    upload_s, fixed_s = (
        np.where(uses, value, 0.0) for value in (problem.upload_s, problem.fixed_upload_s)
    )
    slack_s = problem.slack_s
    prunable_s = np.asarray(problem.prunable_s)
    # The rest of the deadline at the x of the whole band: the true room is never less, its
    # rounding may be.
    least_s = np.where(uses, slack_s * upload_s + prunable_s * fixed_s, 1.0) / np.where(
        uses, prunable_s + upload_s, 1.0
    )
    room_s = np.maximum(slack_s - prunable_s * kept, least_s)
    # At most the whole band, from which the kept fraction came: rounding may ask for more than any
    # band gives where noise grows with it.
    band = np.minimum(
        problem.band_at(np.where(uses, (upload_s * kept + fixed_s) / room_s, 0.0)), 1.0
    )
    above = uses & (band > curve.floor)
    gain = np.where(above, curve.marginal_gain(np.where(above, band, curve.floor)), 1.0)
    return np.where(above, band, curve.floor), np.where(
        above & (gain > 0), 1.0 / np.where(gain > 0, gain, 1.0), 0.0
    )
