"""Proof of optimality from the problem alone: feasibility, KKT conditions and a rigorous gap."""

from typing import overload

import numpy as np
from numpy.typing import NDArray

from optimizers._analysis.joint_certificate import certify_joint
from optimizers._analysis.residuals import Certificate, check_shapes, relative_distance
from optimizers._exclusion import without_clients
from optimizers._joint.problem import JointAllocation, JointProblem
from optimizers._waterfilling.curve import TOUCHING, Curve, latency_price
from optimizers._waterfilling.rate_models import curve_of
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Array, Problem


@overload
def certify(problem: Problem, allocation: Allocation) -> Certificate: ...
@overload
def certify(problem: JointProblem, allocation: JointAllocation) -> Certificate: ...
def certify(
    problem: Problem | JointProblem, allocation: Allocation | JointAllocation
) -> Certificate:
    """Certify `allocation` as an answer to `problem`, with its prices as the multipliers.

    With x = 1 - rho and the price lambda of the band, the gap is

        sum_k w_k (x_k(b_k') - x_k) + lambda (1 - sum_k b_k'),  b_k' = argmax w_k x_k(b) - lambda b,

    by weak duality a bound on what any other answer keeps more, for any lambda >= 0. Clients that
    can take no part are constants, those that a selection excluded are not part of the problem,
    and where caps do not fit together the problem without caps is certified.

    Args:
        problem: The problem with arrays (..., K), of any kind that `solve` and `solve_joint` take.
        allocation: The answer with arrays (..., K) and prices (...,).

    Returns:
        The residuals, each of shape (...,).

    Raises:
        InputError: Shapes that do not match the problem, or a problem of another kind.
    """
    if isinstance(problem, JointProblem) and isinstance(allocation, JointAllocation):
        return certify_joint(problem, allocation)
    assert not isinstance(problem, JointProblem)
    assert isinstance(allocation, Allocation)
    return _certify(problem, allocation)


def _certify(problem: Problem, allocation: Allocation) -> Certificate:
    band = np.asarray(allocation.bandwidth_fraction)
    ratio = np.asarray(allocation.pruning_ratio)
    price = allocation.bandwidth_price
    deadline_price = allocation.deadline_price
    check_shapes(problem.shape, bandwidth_fraction=band, pruning_ratio=ratio)
    check_shapes(problem.shape[:-1], bandwidth_price=price, deadline_price=deadline_price)
    for name in ("left_out", "exact_kept"):
        if getattr(allocation, name) is not None:
            check_shapes(problem.shape, **{name: getattr(allocation, name)})
    left_out = np.zeros(problem.shape, dtype=np.bool_)
    if allocation.left_out is not None:
        left_out = allocation.left_out
    chosen = without_clients(problem, left_out)
    curve = curve_of(chosen)
    kept = allocation.kept_fraction
    price = np.asarray(price)[..., None]
    total = curve.weight.sum(axis=-1)
    scale = np.where(total > 0, total, 1.0)
    expected = latency_price(curve, band, curve.kept(band), price[..., 0]).sum(axis=-1)
    wrong = relative_distance(np.asarray(deadline_price), expected, expected)
    return Certificate(
        primal_residual=_primal_residual(chosen, curve, band, ratio, kept),
        stationarity=_stationarity(curve, band, price),
        complementarity=_complementarity(problem, curve, band, kept, price, left_out) / scale,
        dual_residual=np.maximum(relative_distance(price, 0.0, np.inf)[..., 0], wrong),
        duality_gap=np.abs(_gap(curve, kept, price)) / scale,
    )


def _primal_residual(
    problem: Problem, curve: Curve, band: Array, ratio: Array, kept: Array
) -> Array:
    late = problem.latency_of_kept_s(band, kept) / np.asarray(problem.deadline_s) - 1.0
    per_client = np.stack(
        [
            np.where(curve.excluded, kept, late),
            np.where(curve.excluded, 0.0, curve.floor) - band,
            -ratio,
            ratio - np.where(curve.excluded, 1.0, curve.cap),
        ]
    )
    worst = np.maximum(per_client.max(axis=(0, -1)), band.sum(axis=-1) - 1.0)
    found: Array = np.maximum(worst, 0.0)
    return found


def _stationarity(curve: Curve, band: Array, price: Array) -> Array:
    gain = curve.marginal_gain(band)
    at_floor = band <= curve.floor * (1.0 + TOUCHING)
    distance = relative_distance(
        np.broadcast_to(price, gain.shape),
        np.where(curve.at_edge(band), -np.inf, gain),
        np.where(at_floor, np.inf, gain),
    )
    found: Array = np.where(curve.uses_band, distance, 0.0).max(axis=-1)
    return found


def _complementarity(
    problem: Problem,
    curve: Curve,
    band: Array,
    kept: Array,
    price: Array,
    left_out: NDArray[np.bool_],
) -> Array:
    """Band left over times its price, and the weight that clients could keep more; (...,)."""
    spare = np.abs(price[..., 0] * (1.0 - band.sum(axis=-1)))
    missed = np.where(curve.excluded, 0.0, curve.weight * np.abs(curve.kept(band) - kept))
    needed = np.maximum(problem.min_bandwidth, problem.entry_bandwidth)
    taken = np.where(curve.excluded, 0.0, needed).sum(axis=-1, keepdims=True)
    fits = left_out & (taken + needed <= 1.0 - TOUCHING)
    missed = np.where(fits, curve.weight, missed)
    found: Array = np.maximum(spare, missed.max(axis=-1))
    return found


def _gap(curve: Curve, kept: Array, price: Array) -> Array:
    """The Lagrangian's maximum minus the objective, of clients that can take part; (...,)."""
    best = curve.best_band(price)
    more = curve.weight * (np.minimum(curve.kept(best), 1.0) - kept) - price * best
    found: Array = np.where(curve.excluded, 0.0, more).sum(axis=-1) + price[..., 0]
    return found
