"""The interface of solvers to a problem in which each client prunes as little as its band allows.

The largest kept fraction x_k(b) that meets the deadline is a function of the band b, so the problem
becomes: maximise sum w_k x_k(b_k) over sum b_k <= 1, floor_k <= b_k <= ceiling_k. It is increasing
and concave, but for a table of efficiencies seen by noise with a density, whose pieces
`optimizers._waterfilling.pieces` searches.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Array, Problem

ROUNDING = 1e-14  # a band this close (relative) to a bound is at the bound
TOUCHING = 1e-12  # relative distance at which a band counts as lying on its bound
# excess of the summed floors that is rounding; a tenth of what `Allocation.status` forgives
FITTING = 1e-13


class Curve(Protocol):
    """A problem in band fractions only; every array has shape (..., K).

    `floor` is the band that taking part and the cap on the ratio ask for; `ceiling` the band at
    which nothing is pruned, inf when none is enough; `top` the most band that is of use, at most 1;
    `cap` the cap that holds (1 where caps do not fit together); `excluded` the clients that take no
    part; `uses_band` those for which band beyond the floor is worth something.
    """

    @property
    def weight(self) -> Array: ...
    @property
    def cap(self) -> Array: ...
    @property
    def floor(self) -> Array: ...
    @property
    def ceiling(self) -> Array: ...
    @property
    def top(self) -> Array: ...
    @property
    def excluded(self) -> NDArray[np.bool_]: ...
    @property
    def uses_band(self) -> NDArray[np.bool_]: ...

    def at_edge(self, band: Array) -> NDArray[np.bool_]:
        """True if a little more band has no use, to a relative distance of 1e-12.

        It is at the ceiling, or at the end of a row.
        """
        ...

    def kept(self, band: Array) -> Array:
        """x(b); 0 for clients that take no part."""
        ...

    def marginal_gain(self, band: Array) -> Array:
        """w dx/db, the left derivative at the ceiling; 0 for clients that use no band."""
        ...

    def best_band(self, price: Array) -> Array:
        """The band that maximises w x(b) - price b within [floor, top]; `price` has shape (..., 1)."""
        ...

    def deadline_gain(self, band: Array) -> Array:
        """w dx/d(deadline) at a fixed band."""
        ...

    def freed_band(self, band: Array, kept: Array) -> Array:
        """-db/d(deadline) at a fixed kept fraction."""
        ...


def allocation_of(
    curve: Curve, problem: Problem, band: Array, price: Array, worth: float | Array = 1.0
) -> Allocation:
    """The allocation of `band`, shape (..., K), whose price is `price`, shape (...,).

    `worth` as in `latency_price`.
    """
    kept = curve.kept(band)
    ratio = np.where(curve.excluded, 1.0, np.minimum(_round_up(1.0 - kept, kept), curve.cap))
    return Allocation(
        problem=problem,
        bandwidth_fraction=band,
        pruning_ratio=ratio,
        bandwidth_price=price,
        deadline_price=latency_price(curve, band, kept, price, worth).sum(axis=-1),
        exact_kept=kept,
    )


def latency_price(
    curve: Curve, band: Array, kept: Array, price: Array, worth: float | Array = 1.0
) -> Array:
    """d(objective) / d(a client's deadline), the multiplier of T_k <= deadline_s; (..., K).

    A client strictly between its bounds keeps w dx/d(deadline) more; one that stands at its floor
    or ceiling frees band instead, each unit of it worth `price`. `worth` (..., K) is
    d(objective) / d(w x), 1 for the weighted sum.
    """
    at_bound = (
        (band >= curve.ceiling * (1 - ROUNDING)) | (band <= curve.floor * (1 + ROUNDING))
    ) & (band > 0)
    freed = np.where(at_bound, price[..., None] * curve.freed_band(band, kept), 0.0)
    gained = np.where((kept < 1) & ~curve.excluded, worth * curve.deadline_gain(band), 0.0)
    return np.where(at_bound, freed, gained)


def _round_up(ratio: Array, kept: Array) -> Array:
    """The ratio, one step up where 1 - ratio would keep more than `kept`: next to 1 that step
    decides the latency.
    """
    return np.where(1.0 - ratio > kept, np.nextafter(ratio, 2.0), ratio)
