"""Compiled water-filling for one problem of few clients, to the bit the answer of the array code.

It is `optimizers._waterfilling.fixed_snr.reduce`, `waterfill` and `allocation_of` in one pass, with
caps and fixed bits. Every product, quotient and sum is taken in the order of the array code, which
sums pairwise, so that a record does not depend on when the loop was loaded. A problem that needs
the sorted search is returned unsolved.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import boolean, float64, int64, njit, types

from optimizers._waterfilling.curve import FITTING, ROUNDING
from wirelessfl.allocation.problem import Array

_Function = TypeVar("_Function", bound=Callable[..., Any])
_TYPES: Any = types  # whose functions have no annotations
_READ = _TYPES.Array(float64, 2, "C", readonly=True)
_SETTINGS = {"error_model": "numpy", "cache": True}
_STEEPEST = 1e300  # slope of a step, as in `waterfill`
_SEQUENTIAL = 8  # NumPy sums fewer numbers one after the other,
_LANES = 128  # up to as many as this in eight lanes, and halves of more


def _compile(*signature: Any, **settings: Any) -> Callable[[_Function], _Function]:
    """`numba.njit` for type checkers: the decorated function keeps its type."""
    decorate: Callable[[_Function], _Function] = njit(*signature, **settings)
    return decorate


@_compile(float64(float64[::1], int64, int64), **_SETTINGS)
def _pairwise(values: Array, first: int, count: int) -> float:
    """Sum of `count` values in the order of `numpy.sum`."""
    if count < _SEQUENTIAL:
        total = 0.0
        for k in range(first, first + count):
            total += values[k]
        return total
    if count > _LANES:
        half = count // 2
        half -= half % _SEQUENTIAL
        return _pairwise(values, first, half) + _pairwise(values, first + half, count - half)
    lane0, lane1, lane2, lane3 = (
        values[first],
        values[first + 1],
        values[first + 2],
        values[first + 3],
    )
    lane4, lane5, lane6, lane7 = (
        values[first + 4],
        values[first + 5],
        values[first + 6],
        values[first + 7],
    )
    whole = count - count % _SEQUENTIAL
    for k in range(first + _SEQUENTIAL, first + whole, _SEQUENTIAL):
        lane0 += values[k]
        lane1 += values[k + 1]
        lane2 += values[k + 2]
        lane3 += values[k + 3]
        lane4 += values[k + 4]
        lane5 += values[k + 5]
        lane6 += values[k + 6]
        lane7 += values[k + 7]
    total = ((lane0 + lane1) + (lane2 + lane3)) + ((lane4 + lane5) + (lane6 + lane7))
    for k in range(first + whole, first + count):
        total += values[k]
    return float(total)


@_compile(float64(float64, float64), inline="always", **_SETTINGS)
def _ratio(numerator: float, denominator: float) -> float:
    """Quotient with 0 / 0 = 0."""
    return 0.0 if numerator == 0.0 else numerator / denominator


@_compile(
    _TYPES.Tuple((float64, boolean))(
        float64[::1], float64[::1], float64[::1], float64, float64[::1], float64[::1], float64[::1]
    ),
    **_SETTINGS,
)
def _level(
    start: Array, slope: Array, height: Array, room: float, rise: Array, pace: Array, work: Array
) -> tuple[float, bool]:
    """Level at which the rises sum to `room`, and success, as `waterfill` searches it."""
    clients = start.size
    for k in range(clients):
        work[k] = slope[k] * start[k]
    reach = _pairwise(work, 0, clients)
    rounding = 2e-15 + 1e-17 * clients**0.5 + 2e-16 * reach
    rounding = rounding if rounding < 1e-13 else 1e-13
    level = (room + reach) / _pairwise(slope, 0, clients)
    passes = 1
    left = clients
    while left > 0:
        left >>= 1
        passes += 1
    done = False
    missing = 0.0
    for _ in range(passes):
        if not abs(level) < np.inf:
            return level, False
        for k in range(clients):
            climbed = (level - start[k]) * slope[k]
            low = climbed if climbed > 0.0 else 0.0
            share = low if low < height[k] else height[k]
            rise[k] = share
            pace[k] = slope[k] if share == climbed else 0.0
        missing = room - _pairwise(rise, 0, clients)
        done = abs(missing) <= rounding
        if done:
            break
        level += missing / _pairwise(pace, 0, clients)
    if done and abs(missing) > 4e-15:
        step = missing / _pairwise(pace, 0, clients)
        for k in range(clients):
            share = rise[k] + step * pace[k]
            low = share if share > 0.0 else 0.0
            rise[k] = low if low < height[k] else height[k]
        done = abs(step) < np.inf
    return level, done


@_compile(
    _TYPES.Tuple((boolean, float64, float64))(_READ, float64[:, ::1]),
    **_SETTINGS,
)
def fill_few(table: Array, found: Array) -> tuple[bool, float, float]:
    """Solve one problem.

    Args:
        table: Deadline, fixed and prunable seconds, upload bits, rate, fixed bits, weight and cap;
            (8, K).
        found: Result: bands, pruning ratios and kept fractions; (3, K).

    Returns:
        Whether the problem is solved, and the prices of the band and of the deadline.
    """
    clients = table.shape[1]
    scratch = np.empty((12, clients))
    needed, entry, ceiling = scratch[0], scratch[1], scratch[2]
    start, slope, floor, height = scratch[3], scratch[4], scratch[5], scratch[6]
    pace, work = scratch[7], scratch[8]
    slack_s, upload_s, entry_s = scratch[9], scratch[10], scratch[11]
    band, pruned, kept = found[0], found[1], found[2]
    for k in range(clients):
        slack_s[k] = c = table[0, k] - table[1, k]
        upload_s[k] = s = _ratio(table[3, k], table[4, k])
        entry_s[k] = e = _ratio(table[5, k], table[4, k])
        a = table[2, k]
        room_s = c - a
        ceiling[k] = (s + e) / room_s if c > a else np.inf
        if c < 0.0:
            entry[k] = 0.0
            needed[k] = 0.0
        else:
            entry[k] = _ratio(e, c)
            least = 1.0 - table[7, k]
            bits_s = (least * s) + e if least > 0.0 else 0.0
            left_s = c - least * a
            alone = np.inf if left_s < 0.0 else (0.0 if bits_s == 0.0 else bits_s / left_s)
            needed[k] = max(alone, entry[k])
    fits = _pairwise(needed, 0, clients) <= 1.0 + FITTING
    enters = _pairwise(entry, 0, clients) <= 1.0 + FITTING
    for k in range(clients):
        c = slack_s[k]
        a = table[2, k]
        s = upload_s[k]
        e = entry_s[k]
        w = table[6, k]
        least = needed[k] if fits else (entry[k] if enters else 0.0)
        raw = c * s + a * e
        counts = (c > 0.0) & (raw < np.inf) & (enters | ~(e > 0.0)) & (w > 0.0)
        root_s = np.sqrt(raw if counts else 0.0) * np.sqrt(w)
        uses = root_s > 0.0
        steep = root_s / a
        more = ceiling[k] - least
        floor[k] = least
        start[k] = (a * least + s) / root_s if uses else 1.0
        slope[k] = (steep if steep < _STEEPEST else _STEEPEST) if uses else 0.0
        height[k] = more if uses & (more > 0.0) else 0.0
    room = 1.0 - _pairwise(floor, 0, clients)
    if _pairwise(height, 0, clients) <= room:
        price = 0.0
        for k in range(clients):
            band[k] = height[k]
    else:
        level, done = _level(start, slope, height, room, band, pace, work)
        if not done:
            return False, 0.0, 0.0
        price = level**-2.0
    for k in range(clients):
        band[k] = floor[k] + band[k]
    total = _pairwise(band, 0, clients)
    if total > 1.0:
        for k in range(clients):
            band[k] /= total
    for k in range(clients):
        c = slack_s[k]
        a = table[2, k]
        s = upload_s[k]
        e = entry_s[k]
        w = table[6, k]
        excluded = (c < 0.0) | (~enters & (e > 0.0))
        size = 1.0 if (s == 0.0) & (e == 0.0) else band[k]
        work_s = a * size + s
        used_s = c * size
        beyond_s = used_s - e if used_s > e * (1.0 + ROUNDING) else 0.0
        part = beyond_s / work_s if work_s > 0.0 else 0.0
        full = used_s >= (work_s + e) * (1.0 - ROUNDING)
        x = 0.0 if excluded else (1.0 if full else part)
        kept[k] = x
        rho = 1.0 - x
        rho = rho + 2.0**-53 if 1.0 - rho > x else rho
        cap = table[7, k] if fits else 1.0
        pruned[k] = 1.0 if excluded else min(rho, cap)
        at_bound = (
            (band[k] >= ceiling[k] * (1.0 - ROUNDING)) | (band[k] <= floor[k] * (1.0 + ROUNDING))
        ) & (band[k] > 0.0)
        if at_bound:
            bits_s = (x * s if x > 0.0 else 0.0) + e
            work[k] = price * (band[k] * band[k] / bits_s if bits_s > 0.0 else 0.0)
        else:
            gained = (w * size / work_s if work_s > 0.0 else 0.0) if x < 1.0 else 0.0
            work[k] = 0.0 if excluded else gained
    return True, price, _pairwise(work, 0, clients)
