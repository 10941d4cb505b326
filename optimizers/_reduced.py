"""What is left of an allocation problem once every client prunes as little as its band allows.

With c = `slack_s`, a = `prunable_s` and s = `upload_s`, the largest kept fraction that meets the deadline is

    x(b) = min(1, c b / (a b + s)),    eq. (40) of [WFL] with S_k = c,

increasing and concave in b, so the problem becomes: maximise sum w x(b) over sum b <= 1, floor <= b <= ceiling.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation import Allocation, AllocationProblem, Array
from wirelessfl.errors import InputError

ROUNDING = 1e-14  # a band this close (relative) to a bound is at the bound
FITTING = 1e-13  # excess of the summed floors that is rounding; a tenth of what `Allocation.status` forgives


@dataclass(frozen=True, kw_only=True, eq=False)
class Reduced:
    """An allocation problem in band fractions only; every field has shape (..., K).

    `floor` is the band that the cap on the ratio asks for, 0 in problems whose caps do not fit together; `ceiling`
    is the band at which nothing is pruned, inf when none is enough; `cap` is the cap that holds (1 where none does).
    """

    slack_s: Array
    prunable_s: Array
    upload_s: Array
    weight: Array
    cap: Array
    floor: Array
    ceiling: Array
    late: NDArray[np.bool_]

    @cached_property
    def uses_band(self) -> NDArray[np.bool_]:
        """Clients for which band beyond the floor is worth something; (..., K)."""
        return (self.slack_s > 0) & (self.weight > 0) & (self.upload_s > 0) & (self.upload_s < np.inf)

    @cached_property
    def top(self) -> Array:
        """The most band that a client can use: its ceiling, or the whole band if that is less; (..., K)."""
        return np.where(self.uses_band, np.maximum(np.minimum(self.ceiling, 1.0), self.floor), self.floor)

    def kept(self, band: Array) -> Array:
        """x(b), the largest kept fraction that meets the deadline; (..., K)."""
        band = np.where(self.upload_s == 0, 1.0, band)
        work_s, room_s = self.prunable_s * band + self.upload_s, self.slack_s * band
        with np.errstate(divide="ignore", invalid="ignore"):  # division by 0 where nothing is to be done, which fits
            return np.where(self.late, 0.0, np.where(room_s >= work_s * (1.0 - ROUNDING), 1.0, room_s / work_s))

    def allocation(self, problem: AllocationProblem, band: Array, price: Array) -> Allocation:
        """The allocation of `band`, shape (..., K), whose price is `price`, shape (...,)."""
        kept = self.kept(band)
        ratio = np.where(self.late, 1.0, np.minimum(_round_up(1.0 - kept, kept), self.cap))
        return Allocation(
            problem=problem,
            bandwidth_fraction=band,
            pruning_ratio=ratio,
            bandwidth_price=price,
            deadline_price=self._deadline_price(band, kept, price),
        )

    def _deadline_price(self, band: Array, kept: Array, price: Array) -> Array:
        """d(sum w x) / d(deadline), by the envelope theorem; (...,).

        A client strictly between its bounds keeps w dx/dc = w b / (a b + s) more; one that stands at its floor or
        ceiling frees band instead, b^2 / (x s) of it, each worth `price`.
        """
        at_bound = ((band >= self.ceiling * (1 - ROUNDING)) | (band <= self.floor * (1 + ROUNDING))) & (band > 0)
        size = np.where(self.upload_s == 0, 1.0, band)
        work_s = self.prunable_s * size + self.upload_s
        with np.errstate(divide="ignore", invalid="ignore"):
            freed = np.where(at_bound, price[..., None] * band**2 / (kept * self.upload_s), 0.0)
            gained = np.where((kept < 1) & ~self.late & (work_s > 0), self.weight * size / work_s, 0.0)
        return np.where(at_bound, freed, gained).sum(axis=-1)


def reduce(problem: AllocationProblem, method: str) -> Reduced:
    """The reduced form of `problem`; raises `InputError` naming `method` where bits are left that no ratio prunes."""
    fixed_bits = np.asarray(problem.fixed_upload_bits)
    if fixed_bits.any():
        raise InputError(f"fixed_upload_bits must be 0 for method {method!r}, got {fixed_bits.max():g}")
    slack_s, prunable_s, upload_s = problem.slack_s, np.asarray(problem.prunable_s), problem.upload_s
    late = slack_s < 0
    needed = np.where(late, 0.0, problem.min_bandwidth)
    fits = needed.sum(axis=-1, keepdims=True) <= 1.0 + FITTING
    with np.errstate(divide="ignore", invalid="ignore"):
        ceiling = np.where(slack_s > prunable_s, upload_s / np.maximum(slack_s - prunable_s, 0.0), np.inf)
    return Reduced(
        slack_s=slack_s,
        prunable_s=prunable_s,
        upload_s=upload_s,
        weight=np.asarray(problem.weight),
        cap=np.where(fits, np.asarray(problem.max_pruning_ratio), 1.0),
        floor=np.where(fits, needed, 0.0),
        ceiling=ceiling,
        late=late,
    )


def _round_up(ratio: Array, kept: Array) -> Array:
    """The ratio, one step up where 1 - ratio would keep more than `kept`: next to 1 that step decides the latency."""
    return np.where(1.0 - ratio > kept, np.nextafter(ratio, 2.0), ratio)
