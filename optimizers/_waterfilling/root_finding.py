"""Roots of many monotone functions at once, and the price at which a shared band is used up."""

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
    """Bracket the sign changes of nonincreasing functions, by the ITP method.

    The ends are as close as floats allow at the size of the larger bound. The method (Oliveira and
    Takahashi, 2020) is superlinear on smooth functions and at most 8 steps slower than bisection on
    any, jumps included.

    Args:
        function: Nonincreasing function of arrays, element by element.
        low: Left ends, any shape.
        high: Right ends, same shape.

    Returns: Both ends of each bracket; `low` twice for a function that is negative there, `high`
    twice for one that is positive there.
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
    """Root of the secant, moved by `pull` towards the middle and at most `reach` away from it."""
    width = high - low
    fall = at_low - at_high
    middle = low + width / 2.0
    secant = np.where(fall > 0, low + width * (at_low / np.where(fall > 0, fall, 1.0)), middle)
    away = middle - secant
    return np.asarray(
        np.clip(
            secant + np.sign(away) * np.minimum(pull, np.abs(away)), middle - reach, middle + reach
        )
    )


def excess_band(band: Array) -> Array:
    """Excess of the summed bands, positive where they are exactly the whole band.

    A client that takes the whole band keeps it over a range of prices; the multiplier is the
    highest of them, its own marginal gain, which bracketing finds as the end of that range.

    Args:
        band: Fractions of the band, (..., K).

    Returns:
        The sum less 1, at least the smallest float where it is not negative; (..., 1).
    """
    excess = np.asarray(band.sum(axis=-1, keepdims=True) - 1.0)
    return np.where(excess >= 0.0, np.maximum(excess, np.finfo(np.float64).tiny), excess)


def share_band(
    choice: Callable[[Array], Array],
    band: Callable[[Array], Array],
    levels: Array,
    takes: NDArray[np.bool_],
) -> tuple[Array, Array]:
    """Find the price at which the band is used up.

    Between two neighbouring levels the choices are mixed: where bands jump, that is the exact
    answer, because `band` is linear there.

    Args:
        choice: Choices (..., K) at a level (..., 1), the logarithm of the price.
        band: Fractions of the band that choices require; they shrink as the level rises.
        levels: Levels (2, ..., K): at the lowest of the first row the bands sum to at least 1, at
            the highest of the second to at most 1.
        takes: Clients whose levels count, (..., K).

    Returns:
        The choices whose bands sum to 1, (..., K), and the level, (..., 1).
    """
    some = takes.any(axis=-1, keepdims=True)
    lowest = np.where(
        some, np.min(levels[0], axis=-1, keepdims=True, where=takes, initial=np.inf), 0.0
    )
    highest = np.where(
        some, np.max(levels[1], axis=-1, keepdims=True, where=takes, initial=-np.inf), 0.0
    )

    def excess(level: Array) -> Array:
        return excess_band(band(choice(level)))

    left, right = bracket(excess, lowest, np.maximum(lowest, highest))
    most, least = choice(left), choice(right)
    full, short = band(most).sum(axis=-1, keepdims=True), band(least).sum(axis=-1, keepdims=True)
    share = np.clip((1.0 - short) / np.where(full > short, full - short, 1.0), 0.0, 1.0)
    return least + share * (most - least), left + share * (right - left)


def mix(wanted: Array, below: Array, above: Array) -> Array:
    """Fraction of `above` with which (1 - fraction) below + fraction above = wanted.

    Args:
        wanted: Value to reach, any shape.
        below: Value at fraction 0.
        above: Value at fraction 1.

    Returns:
        Fractions in [0, 1]; 0 where both values are equal.
    """
    apart = above > below
    return np.where(
        apart, np.clip((wanted - below) / np.where(apart, above - below, 1.0), 0.0, 1.0), 0.0
    )
