"""Proof of optimality from the problem alone: feasibility, KKT conditions and a rigorous duality gap."""

from dataclasses import dataclass

import numpy as np

from optimizers._reduced import Reduced, reduce
from wirelessfl.allocation import Allocation, AllocationProblem, Array
from wirelessfl.errors import InputError

_TOUCHING = 1e-12  # relative distance at which a band counts as lying on its bound


@dataclass(frozen=True, kw_only=True, eq=False)
class Certificate:
    """How far an allocation is from the optimum; every field is relative and has shape (...,).

    `primal_residual`: the worst violation of sum b <= 1, b >= 0, 0 <= rho <= cap, and of T <= deadline per deadline.
    `stationarity`: the worst relative difference between a client's marginal gain w dx/db and the price, counted
    only in the direction in which its band can move. `complementarity`: band left over times its price, and what a
    client could keep beyond what it keeps, per total weight. `duality_gap`: how much better any allocation could
    at most be, per total weight.
    """

    primal_residual: Array
    stationarity: Array
    complementarity: Array
    duality_gap: Array


def certify(problem: AllocationProblem, allocation: Allocation) -> Certificate:
    """Certify `allocation` as an answer to `problem`, with its `bandwidth_price` as the multiplier lambda.

    The gap is sum_k w_k rho_k - (sum_k min_b [w_k rho_k(b) + lambda b] - lambda), by weak duality a bound for any
    lambda >= 0. Clients with negative slack are constants; where caps do not fit together the problem without caps
    is the one certified. Raises `InputError` for shapes that do not match and for nonzero `fixed_upload_bits`.
    """
    band, ratio = np.asarray(allocation.bandwidth_fraction), np.asarray(allocation.pruning_ratio)
    price = np.asarray(allocation.bandwidth_price)
    for name, value, shape in (
        ("bandwidth_fraction", band, problem.shape),
        ("pruning_ratio", ratio, problem.shape),
        ("bandwidth_price", price, problem.shape[:-1]),
    ):
        if value.shape != shape:
            raise InputError(f"{name} must have the problem's shape {shape}, got {value.shape}")
    reduced = reduce(problem, "certify")
    total = reduced.weight.sum(axis=-1)
    scale = np.where(total > 0, total, 1.0)
    missed = reduced.weight * np.abs(reduced.kept(band) - (1.0 - ratio))
    spare = np.abs(price * (1.0 - band.sum(axis=-1)))
    return Certificate(
        primal_residual=_primal_residual(problem, reduced, band, ratio),
        stationarity=_stationarity(reduced, band, price[..., None]),
        complementarity=np.maximum(spare, np.where(reduced.late, 0.0, missed).max(axis=-1)) / scale,
        duality_gap=_gap(reduced, ratio, price[..., None]) / scale,
    )


def _primal_residual(problem: AllocationProblem, reduced: Reduced, band: Array, ratio: Array) -> Array:
    deadline_s = np.asarray(problem.deadline_s)
    over_s = np.where(reduced.late, 1.0 - ratio, problem.latency_s(band, ratio) / deadline_s - 1.0)
    per_client = np.stack([over_s, -band, -ratio, ratio - np.where(reduced.late, 1.0, reduced.cap)])
    worst = np.maximum(per_client.max(axis=(0, -1)), band.sum(axis=-1) - 1.0)
    return np.maximum(worst, 0.0)


def _stationarity(reduced: Reduced, band: Array, price: Array) -> Array:
    gain = _marginal_gain(reduced, band)
    excess = gain - price
    at_floor = band <= reduced.floor * (1.0 + _TOUCHING)
    at_top = band >= reduced.ceiling * (1.0 - _TOUCHING)
    excess = np.where(at_floor, np.maximum(excess, 0.0), excess)
    excess = np.where(at_top, np.minimum(excess, 0.0), excess)
    size = np.maximum(gain, price)
    relative = np.abs(excess) / np.where(size > 0, size, 1.0)
    return np.where(reduced.uses_band, relative, 0.0).max(axis=-1)


def _marginal_gain(reduced: Reduced, band: Array) -> Array:
    """w dx/db = w c s / (a b + s)^2, the left derivative at the ceiling; (..., K), 0 for clients that use no band."""
    upload_s = np.where(reduced.uses_band, reduced.upload_s, 1.0)
    work_s = reduced.prunable_s * band + upload_s
    return np.where(reduced.uses_band, reduced.weight * (reduced.slack_s / work_s) * (upload_s / work_s), 0.0)


def _gap(reduced: Reduced, ratio: Array, price: Array) -> Array:
    """Objective minus the Lagrangian's minimum, whose bands solve w dx/db = lambda within the bounds; (...,)."""
    uses, floor, top = reduced.uses_band, reduced.floor, reduced.top
    with np.errstate(divide="ignore", invalid="ignore"):
        root_s = np.sqrt(reduced.weight) * np.sqrt(reduced.slack_s) * np.sqrt(reduced.upload_s) / np.sqrt(price)
        wanted = np.where(uses, (root_s - reduced.upload_s) / reduced.prunable_s, floor)
    # 0 / 0: a client whose gain is the price at any band, so that any band attains the minimum.
    best = np.where(price > 0, np.clip(np.where(np.isnan(wanted), floor, wanted), floor, top), top)
    lower = reduced.weight * (1.0 - np.minimum(reduced.kept(best), 1.0)) + price * best
    counted = np.where(reduced.late, 0.0, reduced.weight * ratio - lower)
    return counted.sum(axis=-1) + price[..., 0]
