"""The cause of an infeasible problem, and the smallest changes that repair it.

A client can be served with the band needed_k = max(min_bandwidth_k, entry_bandwidth_k), and all of
them can exactly when sum_k needed_k <= 1. So:

*Irreducible infeasible set.* The clients with the largest needs, until their sum exceeds the band:
no smaller set exceeds it, and without any one of them the rest fits. It is one client where that
client alone needs more than the band, or is late whatever its band.

*Repairs.* needed_k falls with the deadline and with the cap, and its fraction of the band falls
with the band, for every rate model. The least deadline and cap are found by bisection down to the
last bits, with the test of the solvers; a wider band at the same power per hertz needs sum_k
needed_k of the old one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers._waterfilling.curve import FITTING
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import Array, Problem
from wirelessfl.allocation.ranges import LARGEST

_DOUBLINGS = 60
_HALVINGS = 100

_REPAIRS = ("shortfall_s", "shortfall_fraction", "max_pruning_ratio")


@dataclass(frozen=True, kw_only=True, eq=False)
class Repair:
    """The conflict in a problem and its repairs.

    Each of `shortfall_s`, `shortfall_fraction` and `max_pruning_ratio` alone is enough, with
    everything else unchanged; inf says that no deadline, band or cap is enough.

    Attributes:
        problem: The problem, arrays (..., K).
        feasible: Whether all clients can be served; then `conflict` is empty and the changes are 0;
            (...,).
        conflict: The smallest set of clients that cannot be served together; (..., K).
        needed_bandwidth: Least band of each client, of the whole band; inf when no band is enough;
            (..., K).
        shortfall_s: Least extension of all deadlines, seconds; (...,).
        shortfall_fraction: Least additional band, of the whole band; (...,).
        max_pruning_ratio: Smallest value to which lower caps must be raised; (...,).
    """

    problem: Problem
    feasible: NDArray[np.bool_]
    conflict: NDArray[np.bool_]
    needed_bandwidth: Array
    shortfall_s: Array
    shortfall_fraction: Array
    max_pruning_ratio: Array

    @property
    def shortfall_hz(self) -> Array | None:
        """`shortfall_fraction` in hertz; None when the problem has no `bandwidth_hz`."""
        return (
            None
            if self.problem.bandwidth_hz is None
            else self.shortfall_fraction * self.problem.bandwidth_hz
        )

    @property
    def with_deadline(self) -> Any:
        """The problem with all deadlines longer by `shortfall_s`; unchanged where that is inf."""
        return _later(self.problem, _finite(self.shortfall_s))

    @property
    def with_bandwidth(self) -> Any:
        """The problem with the missing band added, the largest of a batch; inf counts as 0."""
        return _wider(self.problem, float(_finite(self.shortfall_fraction).max()))

    @property
    def with_cap(self) -> Any:
        """The problem with all caps at least `max_pruning_ratio`; unchanged where that is inf."""
        return _looser(self.problem, _finite(self.max_pruning_ratio))


def repair(problem: Problem) -> Repair:
    """Find the cause of infeasibility and the smallest deadline, band and cap that remove it.

    `solve` gives an allocation without a `reason` for each repaired problem, and one with a reason
    for changes smaller by rounding.

    Args:
        problem: The problem, arrays (..., K).

    Returns:
        The conflict and the repairs.
    """
    needed = _needed(problem)
    feasible = _fits(problem)
    changes = dict.fromkeys(_REPAIRS, np.zeros(problem.shape[:-1]))
    if not feasible.all():
        longest_s = np.max(np.asarray(problem.deadline_s), axis=-1)
        later_s = _least(lambda more_s: _fits(_later(problem, more_s)), longest_s, _DOUBLINGS)
        cap = _least(lambda cap: _fits(_looser(problem, cap)), np.ones(problem.shape[:-1]), 0)
        changes = dict(zip(_REPAIRS, (later_s, needed.sum(axis=-1) - 1.0, cap), strict=True))
    return Repair(
        problem=problem,
        feasible=feasible,
        conflict=_conflict(problem, needed) & ~feasible[..., None],
        needed_bandwidth=needed,
        **{name: np.where(feasible, 0.0, change) for name, change in changes.items()},
    )


def _needed(problem: Problem) -> Array:
    """The least band of each client, whatever the others get; (..., K)."""
    return np.where(
        problem.slack_s < 0, np.inf, np.maximum(problem.min_bandwidth, problem.entry_bandwidth)
    )


def _fits(problem: Problem) -> NDArray[np.bool_]:
    return np.asarray(_needed(problem).sum(axis=-1) <= 1.0 + FITTING)


def _conflict(problem: Problem, needed: Array) -> NDArray[np.bool_]:
    """The largest needs until their sum exceeds the band; of hopeless clients the one most late."""
    least_kept = 1.0 - np.asarray(problem.max_pruning_ratio)
    missing_s = least_kept * np.asarray(problem.prunable_s) - problem.slack_s
    order = np.lexsort((-missing_s, -needed), axis=-1)
    ranked = np.take_along_axis(needed, order, axis=-1)
    before = np.concatenate(
        [np.zeros_like(ranked[..., :1]), np.cumsum(ranked, axis=-1)[..., :-1]], axis=-1
    )
    chosen = np.zeros(needed.shape, dtype=bool)
    np.put_along_axis(chosen, order, before <= 1.0 + FITTING, axis=-1)
    return chosen


def _later(problem: Any, more_s: Array) -> Any:
    longer_s = np.minimum(problem.deadline_s + more_s[..., None], LARGEST)
    return replace(problem, deadline_s=longer_s)


def _looser(problem: Any, cap: Array) -> Any:
    return replace(problem, max_pruning_ratio=np.maximum(problem.max_pruning_ratio, cap[..., None]))


def _wider(problem: Any, more: float) -> Any:
    if isinstance(problem, NoisePsdProblem):
        snr = np.asarray(problem.snr) / (1.0 + more)
        return replace(problem, snr=snr, bandwidth_hz=problem.bandwidth_hz * (1.0 + more))
    hertz = None if problem.bandwidth_hz is None else problem.bandwidth_hz * (1.0 + more)
    return replace(problem, rate_bps=problem.rate_bps * (1.0 + more), bandwidth_hz=hertz)


def _finite(change: Array) -> Array:
    return np.where(np.isfinite(change), change, 0.0)


def _least(enough: Callable[[Array], NDArray[np.bool_]], high: Array, doublings: int) -> Array:
    """Smallest sufficient change in [0, high], `high` doubled as needed; inf for none; (...,)."""
    low = np.zeros_like(high)
    for _ in range(doublings):
        found = enough(high)
        if found.all():
            break
        low, high = np.where(found, low, high), np.where(found, high, 2.0 * high)
    possible = enough(high)
    for _ in range(_HALVINGS):
        middle = low + 0.5 * (high - low)
        if np.all((middle == low) | (middle == high)):
            break
        found = enough(middle)
        low, high = np.where(found, low, middle), np.where(found, middle, high)
    return np.where(possible, high, np.inf)
