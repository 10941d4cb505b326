"""Bands that minimise the latency of the slowest client, at given pruning ratios."""

from dataclasses import dataclass

import numpy as np

from optimizers._ratios import given_ratios
from optimizers._waterfilling.root_finding import bracket
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.interface import times
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import Array, Problem
from wirelessfl.errors import check_number
from wirelessfl.values import PerClient

_MAX_STEPS = 100  # Newton's method needs about 7, and log2(K) more
_LONGEST = 40.0  # logarithm of how much longer all take than the slowest client alone


@dataclass(frozen=True, kw_only=True)
class MinLatency:
    """min over b of max_k T_k at given ratios; "only personalisation" of [WFL] with ratio 0.

    Every client that uploads finishes at the same T, the root of sum_k e_k / (T - d_k) = 1, with

        b_k = e_k / (T - d_k),    d_k = T_v,k + T_hat,k + (1 - rho_k) T_c,k,
        e_k = (1 - rho_k) A_k + A0_k, or 0 at rho_k = 1,

    A0_k being the upload time of the fixed bits; with a noise spectral density b_k is the band of
    the speed e_k / (T - d_k). Deadline and caps are ignored. A client of rate 0 never finishes,
    gets no band and is excluded from the optimum of the others. Prices are 0.

    Attributes:
        pruning_ratio: rho within [0, 1], one number or one per client.
    """

    pruning_ratio: PerClient = 0.0

    def __post_init__(self) -> None:
        check_number("pruning_ratio", self.pruning_ratio, at_least=0, at_most=1)

    def solve(self, problem: Problem) -> Allocation:
        """Minimise the largest latency.

        Args:
            problem: The problem, arrays (..., K).

        Returns:
            The allocation, prices 0; latencies may exceed the deadline.

        Raises:
            InputError: Neither 1 nor K ratios.
        """
        ratio = given_ratios(self.pruning_ratio, problem.shape)
        kept = 1.0 - ratio
        compute_s = np.asarray(problem.fixed_s) + kept * np.asarray(problem.prunable_s)
        upload_s = np.where(kept > 0, times(kept, problem.upload_s) + problem.fixed_upload_s, 0.0)
        free = np.zeros(problem.shape[:-1])
        return Allocation(
            problem=problem,
            bandwidth_fraction=_fastest_band(
                problem, compute_s, np.where(upload_s < np.inf, upload_s, 0.0)
            ),
            pruning_ratio=ratio,
            bandwidth_price=free,
            deadline_price=free,
        )


def _fastest_band(problem: Problem, compute_s: Array, upload_s: Array) -> Array:
    """Bands with which all clients that upload finish together; (..., K), sum 1 or 0."""
    uploads = upload_s > 0
    latest_s = np.max(compute_s, axis=-1, keepdims=True, where=uploads, initial=0.0)
    early_s = np.where(uploads, latest_s - compute_s, 0.0)
    # Time is counted from the last client's start, because T - d_k would round to 0 where e_k is
    # far below d_k.
    finish_s = np.max(upload_s - early_s, axis=-1, keepdims=True)
    if isinstance(problem, NoisePsdProblem) and not problem.is_shannon:
        return _bisected(problem, upload_s, early_s, finish_s)
    # The bands are convex and falling in T, so Newton's method climbs to the root from T of the
    # slowest client alone.
    for _ in range(_MAX_STEPS):
        left_s = np.where(uploads, finish_s + early_s, np.inf)
        speed = np.minimum(upload_s / left_s, 1.0)
        band = np.minimum(problem.band_at(speed), 1.0)  # inf where rounding passes the largest rate
        excess = band.sum(axis=-1, keepdims=True) - 1.0
        pace = problem.pace(band) if isinstance(problem, NoisePsdProblem) else np.ones_like(band)
        rising = uploads & (pace > 0)
        slope = np.where(rising, speed / left_s / np.where(rising, pace, 1.0), 0.0).sum(
            axis=-1, keepdims=True
        )
        step_s = np.where(excess > 0, excess / np.where(slope > 0, slope, 1.0), 0.0)
        if np.all(step_s <= 4e-16 * finish_s):
            break
        finish_s = finish_s + step_s
    total = band.sum(axis=-1, keepdims=True)
    return band / np.where(total > 0, total, 1.0)


def _bisected(problem: NoisePsdProblem, upload_s: Array, early_s: Array, least_s: Array) -> Array:
    """The same for bands that fall with T, but may jump; some band may be left over; (..., K)."""
    some = upload_s > 0

    def bands(log_s: Array) -> Array:
        speed = np.minimum(upload_s / np.where(some, np.exp(log_s) + early_s, np.inf), 1.0)
        return problem.band_at(speed)

    start = np.log(np.where(some.any(axis=-1, keepdims=True), least_s, 1.0))
    longest = bracket(
        lambda log_s: bands(log_s).sum(axis=-1, keepdims=True) - 1.0, start, start + _LONGEST
    )[1]
    band = bands(longest)
    return np.asarray(band / np.maximum(band.sum(axis=-1, keepdims=True), 1.0))
