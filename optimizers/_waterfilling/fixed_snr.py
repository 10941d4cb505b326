"""Curve of a client with fixed SNR, whose rate is proportional to its band.

With c = `slack_s`, a = `prunable_s`, s = `upload_s` and e = `fixed_upload_s` (mask, indices,
headers), the largest kept fraction that meets the deadline is

    x(b) = min(1, (c b - e) / (a b + s))  for b >= e / c,

[WFL] eq. (40) with S_k = c and e = 0, increasing and concave in b, with
x'(b) = (c s + a e) / (a b + s)^2. A client with e > 0 takes part with at least the band e / c or
not at all. Here all clients take part; where the floors of those with fixed bits alone exceed the
band, none of these does.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from optimizers._waterfilling.curve import FITTING, ROUNDING, TOUCHING
from wirelessfl.allocation.problem import AllocationProblem, Array, Problem
from wirelessfl.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Reduced:
    """An allocation problem with fixed SNR in band fractions only, a `Curve`; arrays (..., K).

    Attributes:
        slack_s: c, deadline less fixed work, seconds.
        prunable_s: a, seconds of prunable work.
        upload_s: s, seconds to upload the prunable bits over the whole band.
        fixed_upload_s: e, seconds to upload the fixed bits over the whole band.
        weight: w.
        cap: Cap on the ratio in force, 1 where the caps cannot all be kept.
        floor: Band that participation and the cap require.
        ceiling: Band at which nothing is pruned, inf when none is enough.
        excluded: Clients that take no part.
    """

    slack_s: Array
    prunable_s: Array
    upload_s: Array
    fixed_upload_s: Array
    weight: Array
    cap: Array
    floor: Array
    ceiling: Array
    excluded: NDArray[np.bool_]

    @cached_property
    def leverage_s2(self) -> Array:
        """The numerator c s + a e of x'(b), in s^2; (..., K), 0 for clients that use no band."""
        with np.errstate(invalid="ignore"):
            raw = self.slack_s * self.upload_s + self.prunable_s * self.fixed_upload_s
        return np.where((self.slack_s > 0) & (raw < np.inf) & ~self.excluded, raw, 0.0)

    @cached_property
    def uses_band(self) -> NDArray[np.bool_]:
        """Clients for which band beyond the floor has value; (..., K)."""
        return (self.weight > 0) & (self.leverage_s2 > 0)

    @cached_property
    def top(self) -> Array:
        """Largest useful band: the ceiling, at most the whole band; (..., K)."""
        return np.where(
            self.uses_band, np.maximum(np.minimum(self.ceiling, 1.0), self.floor), self.floor
        )

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """Clients that upload nothing at any ratio and so need no band; (..., K)."""
        return np.asarray((self.upload_s == 0) & (self.fixed_upload_s == 0))

    def at_edge(self, band: Array) -> NDArray[np.bool_]:
        """True if the ceiling is reached; (..., K)."""
        return np.asarray(band >= self.ceiling * (1.0 - TOUCHING))

    def kept(self, band: Array) -> Array:
        """The largest kept fraction x(b) that meets the deadline; (..., K)."""
        band = np.where(self.free, 1.0, band)
        work_s = self._work_s(band)
        slack_s = self.slack_s * band
        entry_s = self.fixed_upload_s
        with np.errstate(divide="ignore", invalid="ignore"):
            # At the floor the fixed bits alone fit: what rounding leaves beside them is nothing.
            beyond_s = np.where(slack_s > entry_s * (1.0 + ROUNDING), slack_s - entry_s, 0.0)
            part = np.where(work_s > 0, beyond_s / work_s, 0.0)
        fits = slack_s >= (work_s + entry_s) * (1.0 - ROUNDING)
        return np.where(self.excluded, 0.0, np.where(fits, 1.0, part))

    def marginal_gain(self, band: Array) -> Array:
        """The gain w x'(b) = w (c s + a e) / (a b + s)^2, from the left at the ceiling."""
        work_s = np.where(self.uses_band, self._work_s(band), 1.0)
        return np.where(self.uses_band, self.weight * (self.leverage_s2 / work_s) / work_s, 0.0)

    def best_band(self, price: Array) -> Array:
        """The band at which the marginal gain is `price` (..., 1), in [floor, top]; (..., K)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            root_s = np.sqrt(np.where(self.uses_band, self.weight * self.leverage_s2, 0.0) / price)
            wanted = np.where(
                self.uses_band, (root_s - self.upload_s) / self.prunable_s, self.floor
            )
        # 0 / 0: a client whose gain is the price at any band, so that any band attains the minimum.
        within = np.clip(np.where(np.isnan(wanted), self.floor, wanted), self.floor, self.top)
        return np.where(price > 0, within, self.top)

    def deadline_gain(self, band: Array) -> Array:
        """The gain w dx/dc = w b / (a b + s) at a fixed band; (..., K)."""
        size = np.where(self.free, 1.0, band)
        work_s = self._work_s(size)
        return np.where(work_s > 0, self.weight * size / np.where(work_s > 0, work_s, 1.0), 0.0)

    def freed_band(self, band: Array, kept: Array) -> Array:
        """The band -db/dc = b^2 / (x s + e) at a fixed kept fraction; (..., K)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            bits_s = np.where(kept > 0, kept * self.upload_s, 0.0) + self.fixed_upload_s
            return np.where(bits_s > 0, band**2 / bits_s, 0.0)

    def _work_s(self, band: Array) -> Array:
        return self.prunable_s * band + self.upload_s


def reduce(problem: Problem) -> Reduced:
    """Reduce a problem to band fractions.

    Caps that cannot all be kept are dropped, fixed bits that do not fit are excluded.

    Args:
        problem: The problem, arrays (..., K).

    Returns:
        Its curve.

    Raises:
        InputError: A problem of another rate model.
    """
    if not isinstance(problem, AllocationProblem):
        raise InputError(
            f"problem must be an AllocationProblem for this method, got {type(problem).__name__}"
        )
    slack_s = problem.slack_s
    prunable_s = np.asarray(problem.prunable_s)
    upload_s = problem.upload_s
    entry_s = problem.fixed_upload_s
    late = slack_s < 0
    with np.errstate(divide="ignore", invalid="ignore"):
        ceiling = np.where(
            slack_s > prunable_s,
            (upload_s + entry_s) / np.maximum(slack_s - prunable_s, 0.0),
            np.inf,
        )
    entry = np.where(late, 0.0, problem.entry_bandwidth)
    needed = np.where(late, 0.0, np.maximum(problem.min_bandwidth, entry))
    fits = _fits(needed)
    enters = _fits(entry)
    return Reduced(
        slack_s=slack_s,
        prunable_s=prunable_s,
        upload_s=upload_s,
        fixed_upload_s=entry_s,
        weight=np.asarray(problem.weight),
        cap=np.where(fits, np.asarray(problem.max_pruning_ratio), 1.0),
        floor=np.where(fits, needed, np.where(enters, entry, 0.0)),
        ceiling=ceiling,
        excluded=late | (~enters & (entry_s > 0)),
    )


def _fits(band: Array) -> NDArray[np.bool_]:
    return np.asarray(band.sum(axis=-1, keepdims=True) <= 1.0 + FITTING)
