"""Clipped water-filling: the exact maximum of sum w x(b) over sum b <= 1, floor <= b <= top.

The optimum gives every client the band at which its marginal gain w (c s + a e) / (a b + s)^2 has fallen to one
common price lambda, clipped to its bounds (reference: KKT conditions of [WFL], eq. 34-37, with the bounds that
eq. 47 drops, erratum W3). In the water level mu = 1 / sqrt(lambda) the gain reaches the price at

    mu(b) = (a b + s) / sqrt(w (c s + a e)),

a straight line in b. So every client's band is a ramp from (mu(floor), floor) to (mu(top), top), a step where a = 0,
their sum is piecewise linear in mu, and the optimum lies on the line between the two neighbouring breakpoints where
the sum passes 1. Those are found by bisection over the sorted breakpoints; the sum is evaluated, never accumulated,
because running sums lose every digit when steep ramps enter and leave.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from optimizers._reduced import Reduced
from wirelessfl.allocation import Array


@dataclass(frozen=True, eq=False)
class _Ramps:
    """Every client's band as a function of the water level; each field has shape (..., K)."""

    start: Array
    end: Array
    floor: Array
    top: Array

    @cached_property
    def step(self) -> NDArray[np.bool_]:
        return self.end == self.start

    @cached_property
    def width(self) -> Array:
        return np.where(self.step, np.inf, self.end - self.start)

    def band(self, level: Array, *, after_steps: bool) -> Array:
        """Bands at `level`, shape (..., 1), with the steps that stand exactly there taken or not; (..., K)."""
        passed = level >= self.start if after_steps else level > self.start
        climbed = np.minimum(np.maximum((level - self.start) / self.width, 0.0), 1.0)
        share = np.where(self.step, passed, climbed)
        return self.floor + share * (self.top - self.floor)


def waterfill(reduced: Reduced) -> tuple[Array, Array]:
    """The optimal bands, shape (..., K), and the price lambda of the whole band, shape (...,)."""
    ramps = _ramps(reduced)
    spare = ((reduced.ceiling <= 1.0) | ~reduced.uses_band).all(axis=-1) & (ramps.top.sum(axis=-1) <= 1.0)
    band, level = _fill(ramps)
    band = np.where(spare[..., None], ramps.top, band)
    total = band.sum(axis=-1, keepdims=True)
    return band / np.maximum(total, 1.0), np.where(spare, 0.0, level**-2.0)


def _ramps(reduced: Reduced) -> _Ramps:
    uses, floor, top = reduced.uses_band, reduced.floor, reduced.top
    upload_s = np.where(uses, reduced.upload_s, 1.0)
    root = np.sqrt(np.where(uses, reduced.weight, 1.0)) * np.sqrt(np.where(uses, reduced.leverage_s2, 1.0))
    start = (reduced.prunable_s * floor + upload_s) / root
    end = (reduced.prunable_s * top + upload_s) / root
    # Clients that take no more band than their floor get a step of height 0 where it disturbs nobody.
    first = np.min(start, axis=-1, keepdims=True, where=uses, initial=np.inf)
    first = np.where(first < np.inf, first, 1.0)
    return _Ramps(np.where(uses, start, first), np.where(uses, end, first), floor, top)


def _fill(ramps: _Ramps) -> tuple[Array, Array]:
    """Bands and level where the sum of bands passes 1; meaningless where it never does."""
    levels = np.sort(np.concatenate([ramps.start, ramps.end], axis=-1), axis=-1)
    index = _first_full(ramps, levels)
    left, right = _at(levels, np.maximum(index - 1, 0)), _at(levels, index)
    low, high, full = (
        ramps.band(left, after_steps=True),
        ramps.band(right, after_steps=False),
        ramps.band(right, after_steps=True),
    )
    on_step = (index == 0) | (high.sum(axis=-1, keepdims=True) < 1.0)
    low, high, left = np.where(on_step, high, low), np.where(on_step, full, high), np.where(on_step, right, left)
    missing = 1.0 - low.sum(axis=-1, keepdims=True)
    rise = (high - low).sum(axis=-1, keepdims=True)
    share = np.clip(missing / np.where(rise > 0, rise, 1.0), 0.0, 1.0)
    level = (1.0 - share) * left + share * right
    return (1.0 - share) * low + share * high, level[..., 0]


def _first_full(ramps: _Ramps, levels: Array) -> NDArray[np.intp]:
    """Index of the first breakpoint at which the bands, steps taken, fill the whole band; (..., 1)."""
    count = levels.shape[-1]
    low = np.zeros((*levels.shape[:-1], 1), dtype=np.intp)
    high = np.full_like(low, count - 1)
    for _ in range((count - 1).bit_length()):
        middle = (low + high) // 2
        full = ramps.band(_at(levels, middle), after_steps=True).sum(axis=-1, keepdims=True) >= 1.0
        low, high = np.where(full, low, middle + 1), np.where(full, middle, high)
    return high


def _at(levels: Array, index: NDArray[np.intp]) -> Array:
    return np.take_along_axis(levels, index, axis=-1)
