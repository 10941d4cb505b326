"""Clipped water-filling: the exact maximum of sum w x(b) over sum b <= 1, floor <= b <= ceiling.

The optimum gives every client the band at which its marginal gain w (c s + a e) / (a b + s)^2 has
fallen to one common price lambda, clipped to its bounds (KKT conditions of [WFL] eq. (34)-(37),
with the bounds that [WFL] eq. (47) drops, [WFL] erratum W3). In the water level mu = 1 /
sqrt(lambda) the gain reaches the price at

    mu(b) = (a b + s) / sqrt(w (c s + a e)),

a straight line in b. So every client's band is a ramp that starts at mu(floor), climbs with the
slope sqrt(w (c s + a e)) / a and ends at the ceiling, a step where a = 0. Their sum is piecewise
linear in mu (the problem is a continuous quadratic knapsack): Newton's method lands in the right
piece after a few passes and its next pass is exact. Where it does not (steps, plateaus), a
bisection over the sorted ends of the ramps finds the piece. Both evaluate the sum and never
accumulate it: running sums lose every digit when steep ramps enter and leave.

This is array-API code: `xp` is numpy or a namespace of array-api-compat, and the arrays may lie on
any device.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from optimizers._waterfilling.fixed_snr import Reduced
from wirelessfl.allocation.problem import Array

_STEEPEST = 1e300  # slope of a step: finite, so that no height above its foot is no band
_BLOCK = 2**15  # numbers per block of a batch, so that what the passes touch stays in the cache
_SAMPLE = 64  # every 64th client decides where Newton's method starts


@dataclass(frozen=True, eq=False)
class Ramps:
    """Each client's band as a function of the water level; fields (..., K).

    Attributes:
        start: Level at which the band begins to grow beyond `floor`.
        slope: Band per level, 0 for clients that use no band.
        floor: Least band.
        height: Largest growth, inf where no band is enough.
    """

    start: Any
    slope: Any
    floor: Any
    height: Any

    def __getitem__(self, index: Any) -> "Ramps":
        return Ramps(self.start[index], self.slope[index], self.floor[index], self.height[index])


def ramps(
    xp: Any, leverage_s2: Any, prunable_s: Any, upload_s: Any, weight: Any, floor: Any, ceiling: Any
) -> Ramps:
    """Build the ramps of clients with the marginal gain w `leverage_s2` / (a b + s)^2.

    Args:
        xp: Array namespace.
        leverage_s2: c s + a e, s^2, 0 for clients that use no band; (..., K).
        prunable_s: a, seconds, (..., K).
        upload_s: s, seconds, (..., K).
        weight: w, (..., K).
        floor: Least band, (..., K).
        ceiling: Largest useful band, (..., K).

    Returns:
        The ramps.
    """
    root_s = xp.sqrt(leverage_s2)
    root_s *= xp.sqrt(weight)
    uses = root_s > 0
    start = prunable_s * floor
    height = ceiling - floor
    start += upload_s
    start /= root_s
    root_s /= prunable_s
    return Ramps(
        start=xp.where(uses, start, 1.0),
        slope=xp.where(uses, xp.where(root_s < _STEEPEST, root_s, _STEEPEST), 0.0),
        floor=floor,
        height=xp.where(uses & (height > 0), height, 0.0),
    )


def in_blocks(xp: Any, function: Callable[..., tuple[Any, ...]], *columns: Any) -> tuple[Any, ...]:
    """Apply a function of clients (..., K) to some rows of a batch at a time.

    The intermediate arrays of a block stay in the cache, and no memory is allocated anew for each.

    Args:
        xp: Array namespace.
        function: Function of `xp` and the columns that returns a tuple of arrays.
        *columns: Arrays (..., K), or numbers that hold for all rows.

    Returns:
        The results of all rows.
    """
    *batch, clients = columns[0].shape
    if not batch:
        return function(xp, *columns)
    flat = [column.reshape(-1, clients) if column.ndim > 2 else column for column in columns]
    size = max(_BLOCK // clients, 1)
    blocks = [slice(first, first + size) for first in range(0, max(flat[0].shape[0], 1), size)]
    parts = [
        function(xp, *(column[rows] if column.ndim else column for column in flat))
        for rows in blocks
    ]
    found = (xp.concat(part) for part in zip(*parts, strict=True))
    return tuple(value.reshape(*batch, *value.shape[1:]) for value in found)


def _total(xp: Any, band: Any) -> Any:
    """The sum over the clients; for many short rows by a product, which is several times faster."""
    if band.ndim == 1 or band.shape[-1] > 64 or band.shape[0] == 0:
        return band.sum(axis=-1)
    return band @ xp.ones_like(band[0])


def fill(xp: Any, *columns: Any) -> tuple[Any, Any]:
    """Find the optimal bands.

    Args:
        xp: Array namespace.
        *columns: Arguments of `ramps` after `xp`.

    Returns:
        Bands, (..., K), and the price lambda of the whole band, (...,).
    """
    every = ramps(xp, *columns)
    room = 1.0 - every.floor.sum(axis=-1)
    spare = every.height.sum(axis=-1) <= room
    level, rounding = _start(xp, every, room)
    rise, level, done = _newton(xp, every, room, level, rounding)
    left = ~(done | spare)
    if left.any():
        rise, level = _with_sorted(xp, every, rise, level, left)
    if spare.any():
        rise = xp.where(spare[..., None], every.height, rise)
        level = xp.where(spare, xp.inf, level)
    band = every.floor + rise
    total = band.sum(axis=-1)
    if (total > 1.0).any():
        band = band / xp.where(total > 1.0, total, 1.0)[..., None]
    return band, level**-2.0


def _start(xp: Any, every: Ramps, room: Any) -> tuple[Any, Any]:
    """A starting level, from ramps without bounds or a sample of a long problem, and its error.

    The sum cannot be met better than the level's last digit allows, which moves it by about
    1 + sum slope start.
    """
    clients = every.start.shape[-1]
    reach = (every.slope * every.start).sum(axis=-1)
    last_digit = 2e-15 + 1e-17 * clients**0.5 + 2e-16 * reach
    rounding = xp.where(last_digit < 1e-13, last_digit, 1e-13)
    if every.start.ndim > 1 or clients <= _BLOCK:
        return (room + reach) / every.slope.sum(axis=-1), rounding
    sample = every[::_SAMPLE]
    share = room * (sample.start.shape[0] / clients)
    return _newton(xp, sample, share, _start(xp, sample, share)[0], share * 1e-6)[1], rounding


def _newton(xp: Any, every: Ramps, room: Any, level: Any, rounding: Any) -> tuple[Any, Any, Any]:
    """Rises above the floors, their level, and whether they sum to `room`."""
    zero = 0.0 * room[..., None]
    for _ in range(1 + every.start.shape[-1].bit_length()):  # more than regular problems need
        climbed = level[..., None] - every.start
        climbed *= every.slope
        rise = xp.minimum(xp.maximum(climbed, zero), every.height)
        missing = room - _total(xp, rise)
        done = abs(missing) <= rounding
        if done.all():
            break
        step = missing / _total(xp, (rise == climbed) * every.slope)
        level = level + (xp.where(done, 0.0, step) if done.ndim else step)
    short = done & (abs(missing) > 4e-15)
    if short.any():  # by less than the level's last digit, which is too much for the bands
        pace = (rise == climbed) * every.slope
        step = xp.where(short, missing / _total(xp, pace), 0.0)
        rise = xp.minimum(xp.maximum(rise + step[..., None] * pace, zero), every.height)
        done = done & (abs(step) < xp.inf)
    return rise, level, done


def _with_sorted(xp: Any, every: Ramps, rise: Any, level: Any, left: Any) -> tuple[Any, Any]:
    """`rise` and `level` with the rows `left` replaced by those of the sorted search."""
    if rise.ndim == 1:
        found, at = _sorted_search(xp, every[None, :])
        return found[0], at[0]
    rise = xp.asarray(rise, copy=True)
    level = xp.asarray(level, copy=True)
    rise[left], level[left] = _sorted_search(xp, every[left])
    return rise, level


class _Steps:
    """Ramps (R, K) that end within the band, with steps before or after their jump."""

    def __init__(self, xp: Any, every: Ramps) -> None:
        self.xp = xp
        self.zero = xp.zeros_like(every.start)
        self.height = xp.minimum(every.height, self.zero + (1.0 - every.floor))
        # Clients that use no band get a step of height 0 where it affects no other.
        first = xp.min(xp.where(every.slope > 0, every.start, xp.inf), axis=-1)[:, None]
        self.start = xp.where(every.slope > 0, every.start, xp.where(first < xp.inf, first, 1.0))
        self.end = self.start + xp.where(every.slope > 0, self.height / every.slope, self.zero)
        self.jumps = self.end == self.start
        self.width = xp.where(self.jumps, 1.0, self.end - self.start)

    def rise(self, level: Any, *, after_jumps: bool) -> Any:
        """Rises at `level` (R, 1), with the jumps exactly there made or not; (R, K)."""
        xp = self.xp
        passed = level >= self.start if after_jumps else level > self.start
        climbed = xp.clip((level - self.start) / self.width, 0.0, 1.0)
        return xp.where(self.jumps, xp.where(passed, self.height, self.zero), climbed * self.height)


def _sorted_search(xp: Any, every: Ramps) -> tuple[Any, Any]:
    """Rises (R, K) and levels (R,) where the bands sum to 1; undefined where they never do."""
    steps = _Steps(xp, every)
    room = 1.0 - every.floor.sum(axis=-1)[:, None]
    levels = xp.sort(xp.concat([steps.start, steps.end], axis=-1), axis=-1)
    index = _first_full(xp, steps, levels, room)
    before = xp.where(index > 0, index - 1, index)
    right = xp.take_along_axis(levels, index, axis=-1)
    left = xp.take_along_axis(levels, before, axis=-1)
    low = steps.rise(left, after_jumps=True)
    high, full = steps.rise(right, after_jumps=False), steps.rise(right, after_jumps=True)
    on_jump = (index == 0) | (high.sum(axis=-1)[:, None] < room)
    low = xp.where(on_jump, high, low)
    high = xp.where(on_jump, full, high)
    left = xp.where(on_jump, right, left)
    missing = room - low.sum(axis=-1)[:, None]
    climb = (high - low).sum(axis=-1)[:, None]
    share = xp.clip(missing / xp.where(climb > 0, climb, 1.0), 0.0, 1.0)
    return (1.0 - share) * low + share * high, ((1.0 - share) * left + share * right)[:, 0]


def _first_full(xp: Any, steps: _Steps, levels: Any, room: Any) -> Any:
    """Index of the first level at which the rises, including jumps, fill the band; (R, 1)."""
    count = levels.shape[-1]
    low = xp.zeros_like(levels[:, :1], dtype=xp.int64)
    high = low + (count - 1)
    for _ in range((count - 1).bit_length()):
        middle = (low + high) // 2
        rise = steps.rise(xp.take_along_axis(levels, middle, axis=-1), after_jumps=True)
        full = rise.sum(axis=-1)[:, None] >= room
        low, high = xp.where(full, low, middle + 1), xp.where(full, middle, high)
    return high


def waterfill(reduced: Reduced) -> tuple[Array, Array]:
    """Find the optimal bands of a problem with fixed SNR.

    Args:
        reduced: The problem in band fractions, arrays (..., K).

    Returns:
        Bands, (..., K), and the price of the whole band, (...,).
    """
    leverage_s2 = np.where(reduced.weight > 0, reduced.leverage_s2, 0.0)
    lines = (
        leverage_s2,
        reduced.prunable_s,
        reduced.upload_s,
        reduced.weight,
        reduced.floor,
        reduced.ceiling,
    )
    with np.errstate(all="ignore"):  # 0 / 0 and 1 / 0 stand where no client uses the result
        band, price = in_blocks(np, fill, *lines)
    return band, price
