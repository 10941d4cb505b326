"""Conflicts of an infeasible problem, and the least changes that repair it.

A client can be served with the band needed_k = max(min_bandwidth_k, entry_bandwidth_k), and all of
them can exactly when sum_k needed_k <= 1. So:

*Irreducible infeasible set.* The clients with the largest needs, as many as it takes for their sum to exceed the
band: no smaller set exceeds it, and without any one of them the rest fits. It is one client where
that client alone needs more than the band, or is late whatever its band.

*Repairs.* needed_k falls with the deadline and with the cap, and its share of the band falls with the band, for every
rate model. The least deadline and cap that fit are found by bisection down to the last bits, with
the test by which the solvers decide; a wider band at the same hertz per client (the power per hertz
stays) needs sum_k needed_k of the old one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizers._waterfilling.curve import FITTING
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.allocation.problem import Array, Problem
from wirelessfl.allocation.ranges import LONGEST_S

_DOUBLINGS = 60
_HALVINGS = 100


@dataclass(frozen=True, kw_only=True, eq=False)
class Repair:
    """Conflict and repairs of `problem`; K clients in the last axis, batch axes (...,) before it.

    `feasible` (...,): nothing is wrong; then `conflict` is empty and everything below is 0.
    `conflict` (..., K): the smallest set of clients that cannot be served together.
    `needed_bandwidth` (..., K): what each client needs at least, of the band; inf when no band is
    enough. `shortfall_s` (...,): by how many seconds all deadlines must be longer at least.
    `shortfall_fraction` (...,): how much more band is needed at least, of the band.
    `max_pruning_ratio` (...,): the smallest number to which caps below it must be raised. Each of
    the last three alone is enough, all else unchanged; inf says that no deadline, band or cap
    is.
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
        """The problem with all deadlines longer by `shortfall_s`; where that is inf, as it was."""
        return _later(self.problem, _finite(self.shortfall_s))

    @property
    def with_bandwidth(self) -> Any:
        """The problem with the missing band added, the most that any of a batch misses; inf counts
        as 0.
        """
        return _wider(self.problem, float(_finite(self.shortfall_fraction).max()))

    @property
    def with_cap(self) -> Any:
        """The problem with all caps raised to at least `max_pruning_ratio`; where that is inf, as
        it was.
        """
        return _looser(self.problem, _finite(self.max_pruning_ratio))


def repair(problem: Problem) -> Repair:
    """Find the conflict of `problem`, and the least deadline, band and cap that make it feasible.

    `solve` gives an allocation without a `reason` for each repaired problem, and names one for a
    hair less.
    """
    needed, feasible = _needed(problem), _fits(problem)
    longest_s = np.max(np.asarray(problem.deadline_s), axis=-1)
    changes = {
        "shortfall_s": _least(lambda more_s: _fits(_later(problem, more_s)), longest_s, _DOUBLINGS),
        "shortfall_fraction": needed.sum(axis=-1) - 1.0,
        "max_pruning_ratio": _least(
            lambda cap: _fits(_looser(problem, cap)), np.ones(problem.shape[:-1]), 0
        ),
    }
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
    """The largest needs until their sum exceeds the band; among hopeless clients the one that
    misses most.
    """
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
    longer_s = np.minimum(problem.deadline_s + more_s[..., None], LONGEST_S)
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
    """The smallest change in [0, high] that is enough, `high` doubled while it is not; inf when
    none is; (...,).
    """
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
