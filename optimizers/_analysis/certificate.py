"""Proof of optimality from the problem alone: feasibility, KKT conditions and a rigorous duality
gap.
"""

from dataclasses import dataclass

import numpy as np

from optimizers._waterfilling.curve import TOUCHING, Curve
from optimizers._waterfilling.rate_models import curve_of
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Array, Problem
from wirelessfl.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Certificate:
    """How far an allocation is from the optimum; every field is relative and has shape (...,).

    `primal_residual`: the worst violation of sum b <= 1, b >= 0, 0 <= rho <= cap, and of T <=
    deadline per deadline. `stationarity`: the worst relative difference between a client's marginal
    gain w dx/db and the price, counted only in the direction in which its band can move.
    `complementarity`: band left over times its price, and what a client could keep beyond what it
    keeps, per total weight. `duality_gap`: how much better any allocation could at most be, per
    total weight.
    """

    primal_residual: Array
    stationarity: Array
    complementarity: Array
    duality_gap: Array


def certify(problem: Problem, allocation: Allocation) -> Certificate:
    """Certify `allocation` as an answer to `problem`, with its `bandwidth_price` as the multiplier
    lambda.

    The gap is sum_k w_k rho_k - (sum_k min_b [w_k rho_k(b) + lambda b] - lambda), by weak duality a
    bound for any lambda >= 0. Clients that take no part are constants; where caps do not fit
    together the problem without caps is the one certified. Raises `InputError` for shapes that do
    not match.
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
    curve = curve_of(problem)
    total = curve.weight.sum(axis=-1)
    scale = np.where(total > 0, total, 1.0)
    missed = curve.weight * np.abs(curve.kept(band) - (1.0 - ratio))
    spare = np.abs(price * (1.0 - band.sum(axis=-1)))
    return Certificate(
        primal_residual=_primal_residual(problem, curve, band, ratio),
        stationarity=_stationarity(curve, band, price[..., None]),
        complementarity=np.maximum(spare, np.where(curve.excluded, 0.0, missed).max(axis=-1))
        / scale,
        duality_gap=_gap(curve, ratio, price[..., None]) / scale,
    )


def _primal_residual(problem: Problem, curve: Curve, band: Array, ratio: Array) -> Array:
    deadline_s = np.asarray(problem.deadline_s)
    over_s = np.where(
        curve.excluded, 1.0 - ratio, problem.latency_s(band, ratio) / deadline_s - 1.0
    )
    per_client = np.stack([over_s, -band, -ratio, ratio - np.where(curve.excluded, 1.0, curve.cap)])
    worst = np.maximum(per_client.max(axis=(0, -1)), band.sum(axis=-1) - 1.0)
    return np.maximum(worst, 0.0)


def _stationarity(curve: Curve, band: Array, price: Array) -> Array:
    gain = curve.marginal_gain(band)
    excess = gain - price
    at_floor = band <= curve.floor * (1.0 + TOUCHING)
    at_top = curve.at_edge(band)
    excess = np.where(at_floor, np.maximum(excess, 0.0), excess)
    excess = np.where(at_top, np.minimum(excess, 0.0), excess)
    size = np.maximum(gain, price)
    relative = np.abs(excess) / np.where(size > 0, size, 1.0)
    return np.where(curve.uses_band, relative, 0.0).max(axis=-1)


def _gap(curve: Curve, ratio: Array, price: Array) -> Array:
    """Objective minus the Lagrangian's minimum, whose bands solve w dx/db = lambda within the
    bounds; (...,).
    """
    best = curve.best_band(price)
    lower = curve.weight * (1.0 - np.minimum(curve.kept(best), 1.0)) + price * best
    counted = np.where(curve.excluded, 0.0, curve.weight * ratio - lower)
    return counted.sum(axis=-1) + price[..., 0]
