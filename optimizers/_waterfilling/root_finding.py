"""Roots of many monotone functions at once, and the price at which a band that all share is used
up.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.problem import Array

_RESOLUTION = 2.0**-52
_SPARE_STEPS = (
    8.0  # beyond bisection: a bad first estimate must not hold the later ones to bisection's pace
)
_PULL = (
    0.2  # how far an estimate is pulled to the middle, so that both ends of the bracket close in
)


def bracket(function: Callable[[Array], Array], low: Array, high: Array) -> tuple[Array, Array]:
    """The two ends between which nonincreasing functions change sign; any shape.

    They end as close as floats allow at the size of the larger bound. This is the ITP method
    (Oliveira and Takahashi,
    2020): superlinear on smooth functions, at most 8 steps slower than bisection on any, jumps
    included. A function that is negative at `low` has both ends there, one that is positive at
    `high` both there.
    """
    at_low, at_high = function(low), function(high)
    low, high = (
        np.where(at_high >= 0, high, low),
        np.where((at_low <= 0) & (at_high < 0), low, high),
    )
    first = high - low
    tolerance = _RESOLUTION * np.maximum(
        np.maximum(np.abs(low), np.abs(high)), np.finfo(np.float64).tiny
    )
    steps = np.ceil(np.log2(np.maximum(first / (2.0 * tolerance), 1.0))) + _SPARE_STEPS
    for step in range(int(steps.max(initial=0.0)) + 1):
        if np.all(high - low <= 2.0 * tolerance):
            break
        reach = np.maximum(tolerance * np.exp2(steps - step) - (high - low) / 2.0, 0.0)
        pull = np.maximum(
            _PULL * (high - low) * ((high - low) / np.where(first > 0, first, 1.0)), tolerance
        )
        point = _estimate(low, high, at_low, at_high, pull, reach)
        value = function(point)
        low, at_low = np.where(value >= 0, point, low), np.where(value >= 0, value, at_low)
        high, at_high = np.where(value <= 0, point, high), np.where(value <= 0, value, at_high)
    return low, high


def _estimate(
    low: Array, high: Array, at_low: Array, at_high: Array, pull: Array, reach: Array
) -> Array:
    """The secant's root, moved by `pull` towards the middle and at most `reach` away from it."""
    width, fall = high - low, at_low - at_high
    middle = low + width / 2.0
    secant = np.where(fall > 0, low + width * (at_low / np.where(fall > 0, fall, 1.0)), middle)
    away = middle - secant
    return np.clip(
        secant + np.sign(away) * np.minimum(pull, np.abs(away)), middle - reach, middle + reach
    )


def share_band(
    choice: Callable[[Array], Array],
    band: Callable[[Array], Array],
    levels: Array,
    takes: NDArray[np.bool_],
) -> tuple[Array, Array]:
    """The choices (..., K) whose bands sum to 1, and the logarithm of the price that leads to them,
    (..., 1).

    `choice` (of a level (..., 1)) gives bands that shrink as the level rises: at the lowest of
    `levels` (2, ..., K) over the clients that `takes` names they sum to at least 1, at the highest
    to at most 1. Between the two levels next to each other choices are mixed: where bands jump that
    is the exact answer, because `band` is linear there.
    """
    some = takes.any(axis=-1, keepdims=True)
    lowest = np.where(
        some, np.min(levels[0], axis=-1, keepdims=True, where=takes, initial=np.inf), 0.0
    )
    highest = np.where(
        some, np.max(levels[1], axis=-1, keepdims=True, where=takes, initial=-np.inf), 0.0
    )

    def excess(level: Array) -> Array:
        return band(choice(level)).sum(axis=-1, keepdims=True) - 1.0

    left, right = bracket(excess, lowest, np.maximum(lowest, highest))
    most, least = choice(left), choice(right)
    full, short = band(most).sum(axis=-1, keepdims=True), band(least).sum(axis=-1, keepdims=True)
    share = np.clip((1.0 - short) / np.where(full > short, full - short, 1.0), 0.0, 1.0)
    return least + share * (most - least), left + share * (right - left)


def mix(wanted: Array, below: Array, above: Array) -> Array:
    """Share in [0, 1] of `above` with which (1 - share) below + share above = wanted; any shape."""
    apart = above > below
    return np.where(
        apart, np.clip((wanted - below) / np.where(apart, above - below, 1.0), 0.0, 1.0), 0.0
    )
