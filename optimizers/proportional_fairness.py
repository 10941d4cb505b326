"""Proportional fairness: the weighted sum of the logarithms of the kept fractions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizers._waterfilling.curve import allocation_of
from optimizers._waterfilling.fixed_snr import Reduced
from optimizers._waterfilling.log_utility import log_sum
from optimizers._waterfilling.noise_psd import NoisePsdCurve, fill_log
from optimizers._waterfilling.rate_models import curve_of
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.compiled import Compiled, numba_is_there
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import Array, Problem
from wirelessfl.allocation.ranges import LARGEST, TABLE_WITHIN

_LOG_RESULTS = Compiled("optimizers._waterfilling.log_psd", "log_results", TABLE_WITHIN)
_LEAST_KEPT = 1e-300  # below it 1 / x overflows
_MAX_STEPS = 200  # Newton's method needs about 5; where caps bend the sum, bisection steps in


@dataclass(frozen=True, kw_only=True)
class ProportionalFairness:
    """max sum_k w_k log x_k over sum_k b_k <= 1, T_k <= deadline, rho_k <= cap; x_k = 1 - rho_k.

    With z = b - A0/S, the band beyond the need of the fixed bits, and s = A + T_c A0 / S, a client
    keeps x = S z / (T_c z + s), and d(w log x)/db = w s / (z (T_c z + s)) falls to the price 1/nu
    at

        z = 2 w nu / (1 + sqrt(1 + 4 T_c w nu / s)),

    clipped to the bounds of b. Newton's method, kept inside a bracket, finds the nu at which the
    bands sum to 1; band that is left over has price 0. Where noise grows with the band, each band
    is searched in the same way. Every client with a weight that band can help keeps something: no
    client is starved. Late clients and clients without rate or slack take no part (log 0 is the
    same for every allocation). Where the caps cannot all be kept they are dropped as in `Exact`.

    The prices are those of this objective. The weighted sum with weights w_k / x_k has this optimum
    and these prices.
    """

    def solve(self, problem: Problem) -> Allocation:
        """Maximise the sum of logarithms.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The allocation with its prices.
        """
        if isinstance(problem, NoisePsdProblem) and numba_is_there() and _is_compiled(problem):
            found, prices = _LOG_RESULTS.load()(problem)
            return Allocation(
                problem=problem,
                bandwidth_fraction=found[0],
                pruning_ratio=found[1],
                bandwidth_price=prices[0],
                deadline_price=prices[1],
                exact_kept=found[2],
            )
        return _with_arrays(problem)


def _is_compiled(problem: NoisePsdProblem) -> bool:
    """True for Shannon's rate, within the range of rates."""
    if not problem.is_shannon:
        return False
    most_bps_hz = np.log1p(np.asarray(problem.snr).max()) / np.log(2.0)
    return bool(problem.bandwidth_hz * most_bps_hz <= LARGEST)


def _with_arrays(problem: Problem) -> Allocation:
    curve = curve_of(problem)
    if isinstance(curve, Reduced):
        band, price = _closed_form(curve)
    elif isinstance(curve, NoisePsdCurve):
        band, price = fill_log(curve)
    else:
        band, price = log_sum(curve)
    kept = curve.kept(band)
    counts = kept > _LEAST_KEPT
    worth = np.where(counts, 1.0 / np.where(counts, kept, 1.0), 0.0)
    return allocation_of(curve, problem, band, price, worth)


def _closed_form(curve: Reduced) -> tuple[Array, Array]:
    """Optimal bands, (..., K), and price of the whole band, (...,), with fixed SNR."""
    uses = curve.uses_band
    spare = ((curve.ceiling <= 1.0) | ~uses).all(axis=-1) & (curve.top.sum(axis=-1) <= 1.0)
    level = _level(curve)
    band = np.where(spare[..., None], curve.top, _bands(curve, level)[0])
    with np.errstate(divide="ignore"):
        price = np.where(spare | ~uses.any(axis=-1), 0.0, 1.0 / level[..., 0])
    return band / np.maximum(band.sum(axis=-1, keepdims=True), 1.0), price


def _level(curve: Reduced) -> Array:
    """The nu at which the bands sum to 1; (..., 1), meaningless where they never do."""
    low = _level_at(curve, curve.floor).min(
        axis=-1, keepdims=True, where=curve.uses_band, initial=np.inf
    )
    high = _level_at(curve, curve.top).max(
        axis=-1, keepdims=True, where=curve.uses_band, initial=0.0
    )
    low = np.minimum(low, high)
    weight = np.where(curve.uses_band, curve.weight, 0.0).sum(axis=-1, keepdims=True)
    spread = (1.0 - curve.floor.sum(axis=-1, keepdims=True)) / np.where(weight > 0, weight, 1.0)
    level = np.clip(spread, low, high)  # z <= w nu, so the bands sum to 1 or less here
    for _ in range(_MAX_STEPS):
        band, slope = _bands(curve, level)
        excess = band.sum(axis=-1, keepdims=True) - 1.0
        steepness = slope.sum(axis=-1, keepdims=True)
        low, high = np.where(excess <= 0, level, low), np.where(excess >= 0, level, high)
        newton = level - excess / np.where(steepness > 0, steepness, 1.0)
        settled = (np.abs(newton - level) <= 2e-16 * level) & (steepness > 0)
        if np.all(settled | (high - low <= 4e-16 * high)):
            break
        within = (steepness > 0) & (newton >= low) & (newton <= high)
        level = np.where(within, newton, (low + high) / 2)
    return np.asarray(level)


def _bands(curve: Reduced, level: Array) -> tuple[Array, Array]:
    """Band at which each client's gain has fallen to 1 / level, and its slope; (..., K)."""
    entry = _entry(curve)
    load_s = _load_s(curve)
    uses = curve.uses_band
    root = np.sqrt(1.0 + 4.0 * curve.prunable_s * curve.weight * level / load_s)
    wanted = np.where(uses, entry + 2.0 * curve.weight * level / (1.0 + root), curve.floor)
    inside = uses & (wanted > curve.floor) & (wanted < curve.top)
    return np.clip(wanted, curve.floor, curve.top), np.where(inside, curve.weight / root, 0.0)


def _level_at(curve: Reduced, band: Array) -> Array:
    """The nu that leads to `band`, z (T_c z + s) / (w s); (..., K)."""
    beyond = np.maximum(band - _entry(curve), 0.0)
    load_s = _load_s(curve)
    weight = np.where(curve.uses_band, curve.weight, 1.0)
    return beyond * (curve.prunable_s * beyond + load_s) / (weight * load_s)


def _entry(curve: Reduced) -> Array:
    slack_s = np.where(curve.uses_band, curve.slack_s, 1.0)
    return np.where(curve.uses_band, curve.fixed_upload_s, 0.0) / slack_s


def _load_s(curve: Reduced) -> NDArray[np.float64]:
    return np.where(curve.uses_band, curve.leverage_s2, 1.0) / np.where(
        curve.uses_band, curve.slack_s, 1.0
    )
