"""The exact optimum of a `JointProblem`.

With the convex b_k of `optimizers._joint.curve` the problem is max sum w x subject to
sum b_k(x_k) <= 1: at a given price lambda of the band it separates into K monotone equations
w_k = lambda b_k'(x_k).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from optimizers._joint.curve import JointCurve
from optimizers._joint.problem import JointAllocation, JointProblem
from optimizers._waterfilling.root_finding import bracket, mix, share_band
from wirelessfl.allocation.compiled import Compiled, numba_is_there
from wirelessfl.allocation.problem import Array

_SHARE_KEPT = Compiled("optimizers._joint.compiled", "share_kept")
_FITTING = 1e-13  # excess of summed bands that is rounding
_ASIDE = 1e-8  # relative step to either side of a kept fraction, where b' and tau* may have a kink


def solve_joint(problem: JointProblem) -> JointAllocation:
    """Minimise sum_k w_k rho_k over bands, ratios and CPU frequencies, to rounding.

    x_k solves w_k = lambda b_k'(x_k) within [1 - cap, the most that the whole band allows]; lambda
    makes the bands sum to 1, or is 0 where band is left over. Where the caps cannot all be kept
    they are dropped, and `status` names the clients above theirs. A client whose fixed work alone
    exceeds deadline or budget gets no band and rho = 1.

    Args:
        problem: The joint problem, arrays (..., K); batches are solved at once.

    Returns:
        The optimal allocation with its prices.

    Example:
        >>> from optimizers import JointProblem, solve_joint
        >>> problem = JointProblem(
        ...     deadline_s=0.025,
        ...     fixed_cycles=1e7,
        ...     prunable_cycles=3e7,
        ...     upload_bits=5e5,
        ...     rate_bps=[2e8, 1e8],
        ...     power_w=0.2,
        ...     cpu_min_hz=5e8,
        ...     cpu_max_hz=3e9,
        ...     energy_budget_j=0.02,
        ... )
        >>> solve_joint(problem).status.tolist()
        ['unpruned', 'active']
    """
    choice = PricedChoice(JointCurve(problem))
    kept, best, level = choice.shared()
    enough = choice.enough[..., None]
    price = np.where(enough, 0.0, np.exp(level))
    kept = np.where(enough, choice.top, kept)
    best = np.where(enough, choice.top, best)
    curve = choice.curve
    weight = np.where(choice.curve.excluded, 0.0, np.asarray(problem.weight))
    gap = (weight * (best - kept) - price * curve.band(best)).sum(axis=-1) + price[..., 0]
    return _allocation(curve, kept, price, np.where(choice.enough, 0.0, np.maximum(gap, 0.0)))


@dataclass(frozen=True, eq=False)
class PricedChoice:
    """Fraction that each client keeps at a given price of the band; arrays (..., K).

    Attributes:
        curve: Bands that kept fractions require.
    """

    curve: JointCurve

    @cached_property
    def least(self) -> Array:
        """1 - cap, or 0 for clients that take no part and where the caps do not fit together."""
        curve = self.curve
        least = np.where(curve.excluded, 0.0, 1.0 - np.asarray(curve.problem.max_pruning_ratio))
        possible = np.all(least <= curve.most, axis=-1, keepdims=True)
        needed = curve.band(np.where(possible, least, 0.0)).sum(axis=-1, keepdims=True)
        return np.where(possible & (needed <= 1.0 + _FITTING), least, 0.0)

    @cached_property
    def top(self) -> Array:
        """Largest useful kept fraction: what the whole band allows where keeping more has value."""
        useful = (np.asarray(self.curve.problem.weight) > 0) | (self.curve.whole_band_s == 0)
        return np.where(useful, np.maximum(self.curve.most, self.least), self.least)

    @cached_property
    def uses_band(self) -> NDArray[np.bool_]:
        """Clients for which more band is worth something."""
        return (self.curve.whole_band_s > 0) & (self.top > self.least)

    @cached_property
    def enough(self) -> NDArray[np.bool_]:
        """True if the band suffices for all to keep the largest useful fraction; (...,)."""
        content = np.all(~self.uses_band | (self.top == 1.0), axis=-1)
        return np.asarray(content & (self.curve.band(self.top).sum(axis=-1) <= 1.0))

    @cached_property
    def levels(self) -> Array:
        """Logarithms of the prices at which each client wants the most and the least; (2, ..., K).

        A client that only the whole band limits keeps the price at or above its gain there.
        """
        at_top = self._worth(self.top)
        limited = self.uses_band & (self.curve.most < 1.0)
        least_price = np.max(at_top, axis=-1, keepdims=True, where=limited, initial=-np.inf)
        return np.stack([np.maximum(at_top, least_price), self._worth(self.least)])

    def shared(self) -> tuple[Array, Array, Array]:
        """Kept fractions whose bands sum to 1, the best at their price, and its logarithm.

        The price and the kept fractions at it are searched by Newton's method in compiled code, or
        by nested bracketing without numba.
        """
        if not numba_is_there():
            kept, level = share_band(self.kept, self.curve.band, self.levels, self.uses_band)
            return kept, self.kept(level), level
        shape = self.top.shape
        rows, size = self.top.reshape(-1, shape[-1]).shape
        kept, best = np.empty((2, rows, size))
        level = np.empty(rows)
        _SHARE_KEPT.load()(
            np.ascontiguousarray(self.curve.clients).reshape(rows, size, -1),
            *(np.ascontiguousarray(a).reshape(rows, size) for a in (self.least, self.top)),
            np.ascontiguousarray(self.uses_band).reshape(rows, size),
            np.ascontiguousarray(self.levels).reshape(2, rows, size),
            kept,
            best,
            level,
        )
        return kept.reshape(shape), best.reshape(shape), level.reshape(*shape[:-1], 1)

    def kept(self, level: Array) -> Array:
        """Kept fractions at a price of the band.

        Args:
            level: Logarithm of the price, (..., 1).

        Returns:
            Kept fractions, (..., K).
        """

        def excess(share: Array) -> Array:
            return np.where(
                self.uses_band, self._worth(self.least + share * self._span) - level, 0.0
            )

        share, _ = bracket(excess, np.zeros_like(self.top), np.ones_like(self.top))
        return np.where(self.uses_band, self.least + share * self._span, self.top)

    @cached_property
    def _span(self) -> Array:
        return self.top - self.least

    def _worth(self, kept: Array) -> Array:
        """Logarithm of w / b'(x), the price at which x is kept."""
        slope = np.where(self.uses_band, self.curve.slope(kept), 1.0)
        return np.log(np.where(self.uses_band, np.asarray(self.curve.problem.weight), 1.0) / slope)


def _allocation(curve: JointCurve, kept: Array, price: Array, gap: Array) -> JointAllocation:
    """The answer with its prices; `price` has shape (..., 1)."""
    band = curve.band(kept)
    band = band / np.maximum(band.sum(axis=-1, keepdims=True), 1.0)  # rounding, where b is steep
    deadline_price, energy_price = kept_prices(curve, kept, band, price)
    return JointAllocation(
        problem=curve.problem,
        bandwidth_fraction=band,
        pruning_ratio=1.0 - kept,
        upload_s=_upload_s(curve, kept, band),
        bandwidth_price=price[..., 0],
        deadline_price=deadline_price,
        energy_price=energy_price,
        duality_gap=gap,
        exact_kept=kept,
    )


def kept_prices(curve: JointCurve, kept: Array, band: Array, price: Array) -> tuple[Array, Array]:
    """Prices of deadline and energy budgets for the most kept weight, by the envelope theorem.

    d(sum w x)/d(theta) = sum_k lambda (b_k / tau_k) d(tau_k*)/d(theta). At a kink of tau* both
    sides count in the proportion in which their b' make up w / lambda. A client that uploads
    nothing keeps -tau_theta / tau' more, if less than 1.

    Args:
        curve: Bands that kept fractions require.
        kept: Kept fractions, (..., K).
        band: Fractions of the band, (..., K).
        price: Price lambda of the whole band, (..., 1).

    Returns:
        Kept weight per second of deadline, (...,), and per joule of each budget, (..., K).
    """
    problem = curve.problem
    weight = np.where(curve.excluded, 0.0, np.asarray(curve.problem.weight))
    below, above = curve.upload(kept * (1 - _ASIDE)), curve.upload(kept * (1 + _ASIDE))
    slopes = curve.slope(kept * (1 - _ASIDE)), curve.slope(kept * (1 + _ASIDE))
    share = mix(weight / np.where(price > 0, price, 1.0), *slopes)
    upload_s = _upload_s(curve, kept, band)
    silent = (
        (curve.whole_band_s == 0) & (problem.upload_s < np.inf) & (kept < 1) & (below.by_kept < 0)
    )
    worth = np.where(upload_s > 0, price * band / np.where(upload_s > 0, upload_s, 1.0), 0.0)
    worth = np.where(silent, weight / np.where(silent, -below.by_kept, 1.0), worth)
    share = np.where(silent, 0.0, share)
    by_deadline = (1.0 - share) * below.by_deadline + share * above.by_deadline
    by_energy = (1.0 - share) * below.by_energy + share * above.by_energy
    return (worth * by_deadline).sum(axis=-1), worth * by_energy


def _upload_s(curve: JointCurve, kept: Array, band: Array) -> Array:
    return np.where(band > 0, curve.whole_band_s * kept / np.where(band > 0, band, 1.0), 0.0)
