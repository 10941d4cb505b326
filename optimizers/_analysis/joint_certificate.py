"""Certificates of answers to a `JointProblem`: most kept weight, or least energy at given ratios.

Both problems are convex in one variable a client: the band b(x) that keeping x asks for, and the
energy e(tau) of an upload that takes tau = q / b seconds. At an optimum the price of the band lies
between the client's left and right marginal gain, which differ where b' or e' jumps.
"""

import numpy as np
from numpy.typing import NDArray

from optimizers._analysis.residuals import Certificate, check_shapes, relative_distance
from optimizers._joint.curve import JointCurve
from optimizers._joint.energy import UploadTimes, energy_prices
from optimizers._joint.problem import JointAllocation, JointProblem
from optimizers._joint.solve import PricedChoice, kept_prices
from wirelessfl.allocation.interface import Array, ratio, times

_ASIDE = 1e-8  # relative step to either side of a point, where a marginal gain may jump
_TOUCHING = 1e-12  # distance at which a kept fraction counts as lying on its bound


def certify_joint(problem: JointProblem, allocation: JointAllocation) -> Certificate:
    """Certify an answer to a joint problem; `certify` is the public entry.

    Args:
        problem: The joint problem, arrays (..., K).
        allocation: The answer, for either objective.

    Returns:
        The residuals, each of shape (...,); the gap is computed anew.

    Raises:
        InputError: Shapes that do not match the problem.
    """
    check_shapes(
        problem.shape,
        bandwidth_fraction=allocation.bandwidth_fraction,
        pruning_ratio=allocation.pruning_ratio,
        upload_s=allocation.upload_s,
        energy_price=allocation.energy_price,
    )
    check_shapes(
        problem.shape[:-1],
        bandwidth_price=allocation.bandwidth_price,
        deadline_price=allocation.deadline_price,
    )
    curve = JointCurve(problem, compiled=False)
    residuals = _of_energy if allocation.objective == "energy" else _of_kept
    with np.errstate(divide="ignore", invalid="ignore"):  # impossible answers divide by 0
        return residuals(curve, allocation)


def _of_kept(curve: JointCurve, allocation: JointAllocation) -> Certificate:
    choice = PricedChoice(curve)
    kept = allocation.kept_fraction
    price = _price(allocation)
    weight = np.where(curve.excluded, 0.0, np.asarray(curve.problem.weight))
    wanted = choice.kept(np.log(np.where(price > 0, price, 1.0)))
    best = np.where(price > 0, wanted, choice.top)
    gap = (weight * (best - kept) - price * curve.band(best)).sum(axis=-1) + price[..., 0]
    spare = np.abs(price[..., 0] * (1.0 - curve.band(kept).sum(axis=-1)))
    # A client that band cannot help keeps all that its deadline and budget allow.
    missed = np.where(choice.uses_band, 0.0, weight * np.maximum(choice.top - kept, 0.0))
    total = weight.sum(axis=-1)
    scale = np.where(total > 0, total, 1.0)
    return Certificate(
        primal_residual=_primal_residual(allocation, curve.excluded, 1.0 - choice.least),
        stationarity=_kept_stationarity(choice, kept, price),
        complementarity=np.maximum(spare, missed.max(axis=-1)) / scale,
        dual_residual=_dual_residual(
            allocation, *kept_prices(curve, kept, allocation.bandwidth_fraction, price)
        ),
        duality_gap=np.abs(gap) / scale,
    )


def _of_energy(curve: JointCurve, allocation: JointAllocation) -> Certificate:
    uploads = UploadTimes(curve, allocation.kept_fraction)
    price = _price(allocation)
    band = allocation.bandwidth_fraction
    spent_j = allocation.energy_j.sum(axis=-1)
    best = uploads.band(np.log(np.where(price > 0, price, 1.0)))
    best = np.where(price > 0, best, np.where(uploads.uses_band, 1.0, 0.0))
    saved_j = allocation.energy_j - uploads.energy_j(best)
    gap_j = (
        np.where(uploads.uses_band, saved_j - price * best, saved_j).sum(axis=-1) + price[..., 0]
    )
    scale_j = np.where(spent_j > 0, spent_j, 1.0)
    served = ~np.any(uploads.hopeless, axis=-1)
    cap = np.asarray(curve.problem.max_pruning_ratio)
    none = np.zeros_like(uploads.hopeless)
    return Certificate(
        primal_residual=_primal_residual(allocation, none, cap),
        stationarity=_energy_stationarity(uploads, band, price),
        complementarity=np.abs(price[..., 0] * (1.0 - band.sum(axis=-1))) / scale_j,
        dual_residual=_dual_residual(allocation, *energy_prices(uploads, band, price)),
        duality_gap=np.where(served, np.abs(gap_j) / scale_j, np.inf),
    )


def _price(allocation: JointAllocation) -> Array:
    return np.asarray(allocation.bandwidth_price)[..., None]


def _primal_residual(allocation: JointAllocation, excluded: NDArray[np.bool_], cap: Array) -> Array:
    """The worst violation of band, ratio, deadline and budget; (...,)."""
    problem = allocation.problem
    kept = allocation.kept_fraction
    band = allocation.bandwidth_fraction
    needed_s = ratio(times(kept, problem.upload_s), band)
    budget_j = np.asarray(problem.energy_budget_j)
    limits = np.stack(
        [
            ratio(needed_s, np.asarray(allocation.upload_s)) - 1.0,
            allocation.latency_s / np.asarray(problem.deadline_s) - 1.0,
            ratio(allocation.energy_j, budget_j) - 1.0,
        ]
    ).max(axis=0)
    per_client = np.stack(
        [
            np.where(excluded, kept, limits),
            -band,
            -allocation.pruning_ratio,
            allocation.pruning_ratio - np.where(excluded, 1.0, cap),
        ]
    )
    worst = np.maximum(per_client.max(axis=(0, -1)), band.sum(axis=-1) - 1.0)
    found: Array = np.maximum(worst, 0.0)
    return found


def _kept_stationarity(choice: PricedChoice, kept: Array, price: Array) -> Array:
    """Distance of the price from [w / b'(x+), w / b'(x-)]; (...,)."""
    curve = choice.curve
    weight = np.asarray(choice.curve.problem.weight)
    less, more = kept * (1.0 - _ASIDE), kept * (1.0 + _ASIDE)
    possible = curve.upload(more).time_s > 0
    above = np.where(possible, ratio(weight, curve.slope(more)), 0.0)
    low = np.where(kept >= 1.0 - _TOUCHING, -np.inf, above)
    high = np.where(kept <= choice.least + _TOUCHING, np.inf, ratio(weight, curve.slope(less)))
    distance = relative_distance(np.broadcast_to(price, kept.shape), low, high)
    found: Array = np.where(choice.uses_band, distance, 0.0).max(axis=-1)
    return found


def _energy_stationarity(uploads: UploadTimes, band: Array, price: Array) -> Array:
    """Distance of the price from [e' tau^2 / q at tau-, at tau+]; (...,)."""
    time_s = np.where(uploads.uses_band, uploads.time_s(band), 1.0)
    at_limit = time_s >= uploads.longest_s * (1.0 - _ASIDE)
    low = np.exp(uploads.worth(time_s * (1.0 - _ASIDE)))
    high = np.where(at_limit, np.inf, np.exp(uploads.worth(time_s * (1.0 + _ASIDE))))
    distance = relative_distance(np.broadcast_to(price, band.shape), low, high)
    found: Array = np.where(uploads.uses_band, distance, 0.0).max(axis=-1)
    return found


def _dual_residual(
    allocation: JointAllocation, deadline_price: Array, energy_price: Array
) -> Array:
    """1 for a negative price of the band, else the relative error of the other prices; (...,)."""
    negative = relative_distance(np.asarray(allocation.bandwidth_price), 0.0, np.inf)
    deadline = relative_distance(allocation.deadline_price, deadline_price, deadline_price)
    energy = relative_distance(allocation.energy_price, energy_price, energy_price).max(axis=-1)
    found: Array = np.maximum(negative, np.maximum(deadline, energy))
    return found
