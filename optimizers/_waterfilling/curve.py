"""The interface between allocation problems and solvers: kept fractions as functions of the band.

The largest kept fraction x_k(b) that meets the deadline is a function of the band b, so the problem
becomes: maximise sum w_k x_k(b_k) over sum b_k <= 1, floor_k <= b_k <= ceiling_k. It is increasing
and concave, except for a table of efficiencies under noise with a density, whose pieces
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
    """A problem in band fractions only; arrays (..., K).

    Attributes:
        weight: w.
        cap: Cap on the ratio in force, 1 where the caps cannot all be kept.
        floor: Band that participation and the cap require.
        ceiling: Band at which nothing is pruned, inf when none is enough.
        top: Largest useful band, at most 1.
        excluded: Clients that take no part.
        uses_band: Clients for which band beyond the floor has value.
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
        """True where slightly more band is useless: the ceiling, or the end of a row of a table.

        Args:
            band: Fractions of the band, (..., K).

        Returns:
            Whether `band` is within a relative 1e-12 of the edge; (..., K).
        """
        ...

    def kept(self, band: Array) -> Array:
        """Largest kept fraction x(b).

        Args:
            band: Fractions of the band, (..., K).

        Returns:
            Kept fractions, (..., K); 0 for clients that take no part.
        """
        ...

    def marginal_gain(self, band: Array) -> Array:
        """Marginal gain w dx/db, the left derivative at the ceiling.

        Args:
            band: Fractions of the band, (..., K).

        Returns:
            Kept weight per whole band, (..., K); 0 for clients that use no band.
        """
        ...

    def best_band(self, price: Array) -> Array:
        """Band that maximises w x(b) - price b within [floor, top].

        Args:
            price: Price of the whole band, (..., 1).

        Returns:
            Fractions of the band, (..., K).
        """
        ...

    def deadline_gain(self, band: Array) -> Array:
        """Marginal gain w dx/d(deadline) at a fixed band.

        Args:
            band: Fractions of the band, (..., K).

        Returns:
            Kept weight per second, (..., K).
        """
        ...

    def freed_band(self, band: Array, kept: Array) -> Array:
        """Band freed per second of deadline, -db/d(deadline) at a fixed kept fraction.

        Args:
            band: Fractions of the band, (..., K).
            kept: Kept fractions, (..., K).

        Returns:
            Fractions of the band per second, (..., K).
        """
        ...


def allocation_of(
    curve: Curve, problem: Problem, band: Array, price: Array, worth: float | Array = 1.0
) -> Allocation:
    """The allocation of given bands, each client pruning as little as its band allows.

    Args:
        curve: The problem in band fractions.
        problem: The problem itself.
        band: Fractions of the band, (..., K).
        price: Price of the whole band, (...,).
        worth: d(objective) / d(w x), 1 for the weighted sum; broadcasts to (..., K).

    Returns:
        The allocation with its prices.
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
    """d(objective) / d(a client's deadline), the multiplier of T_k <= deadline_s.

    A client strictly between its bounds gains w dx/d(deadline); one at its floor or ceiling frees
    band instead, each unit of it worth `price`.

    Args:
        curve: The problem in band fractions.
        band: Fractions of the band, (..., K).
        kept: Kept fractions, (..., K).
        price: Price of the whole band, (...,).
        worth: d(objective) / d(w x), 1 for the weighted sum; broadcasts to (..., K).

    Returns:
        Objective per second of each client's deadline, (..., K).
    """
    at_bound = (
        (band >= curve.ceiling * (1 - ROUNDING)) | (band <= curve.floor * (1 + ROUNDING))
    ) & (band > 0)
    freed = np.where(at_bound, price[..., None] * curve.freed_band(band, kept), 0.0)
    gained = np.where((kept < 1) & ~curve.excluded, worth * curve.deadline_gain(band), 0.0)
    return np.where(at_bound, freed, gained)


def _round_up(ratio: Array, kept: Array) -> Array:
    """The ratio, one float up where 1 - ratio would exceed `kept` and miss the deadline."""
    return np.where(1.0 - ratio > kept, np.nextafter(ratio, 2.0), ratio)
