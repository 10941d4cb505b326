"""Answer to an allocation problem."""

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation import rendering
from wirelessfl.allocation.interface import Array, Problem, kept_fraction
from wirelessfl.text import html_table
from wirelessfl.values import ON_TIME

_LOST = 1e-6  # below it 1 - ratio has lost more than the last 6 of 16 digits


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Allocation:
    """Answer to an `AllocationProblem`: band and pruning ratio of each client.

    The objective is the allocator's own, the sum of w (1 - rho) unless it says otherwise. All
    properties are computed from the problem when read.

    Attributes:
        problem: The problem; (..., K).
        bandwidth_fraction: Fraction b of the band; (..., K).
        pruning_ratio: Pruning ratio rho; (..., K).
        bandwidth_price: d(objective) per whole band; (...,). 0 of allocators without an objective,
            and of `MinLatency`.
        deadline_price: d(objective) per second of deadline; (...,). 0 as above.
        left_out: True for clients that a selection excluded; (..., K). None without a selection.
        exact_kept: Kept fraction x with the digits that 1 - `pruning_ratio` loses; (..., K). None
            where the ratio is exact enough.
        cpu_hz: CPU frequency of each client in Hz, for problems with `costs`; (..., K). None:
            that of the scenario.
    """

    problem: Problem
    bandwidth_fraction: Array
    pruning_ratio: Array
    bandwidth_price: Array
    deadline_price: Array
    left_out: NDArray[np.bool_] | None = None
    exact_kept: Array | None = None
    cpu_hz: Array | None = None

    def __repr__(self) -> str:
        """Outcome in one line, and one row per client of a single problem."""
        return rendering.as_text(self)

    def _repr_html_(self) -> str:
        """The same as HTML, for notebooks."""
        table = html_table(rendering.HEADINGS, rendering.cells(self))
        return f"<p>{escape(rendering.headline(self))}</p>{table}"

    @property
    def kept_fraction(self) -> Array:
        """Kept fraction x_k = 1 - `pruning_ratio`, also next to 0 to full precision; (..., K)."""
        return kept_fraction(self.pruning_ratio, self.exact_kept, below=_LOST)

    @property
    def latency_s(self) -> Array:
        """Planned latency T_k of each client in s, on which the allocation is based; (..., K).

        The CPUs run at `cpu_hz`, or at the highest frequency.
        """
        kept = self.kept_fraction
        latency_s = self.problem.latency_of_kept_s(self.bandwidth_fraction, kept)
        if self.cpu_hz is None or self.problem.costs is None:
            return latency_s
        return latency_s + self.problem.costs.longer_s(kept, self.cpu_hz)

    @property
    def status(self) -> NDArray[np.str_]:
        """Status of each client in one word; (..., K).

        * `active`: takes part, pruned below its cap.
        * `capped`: takes part at its largest pruning ratio.
        * `unpruned`: takes part without pruning.
        * `starved`: prunes everything.
        * `late`: planned to finish after the deadline without being infeasible.
        * `infeasible`: cannot meet the deadline or its cap.
        * `left out`: excluded by a selection.
        """
        ratio = self.pruning_ratio
        cap = np.asarray(self.problem.max_pruning_ratio)
        return np.select(
            [
                self._left_out & ~self._too_long,
                self._too_long | self._over_cap | self._crowded_out,
                self.late,
                ratio <= 0.0,
                (cap < 1.0) & (ratio >= cap - 1e-12),
                self.kept_fraction <= 0.0,
            ],
            ["left out", "infeasible", "late", "unpruned", "capped", "starved"],
            "active",
        )

    @property
    def late(self) -> NDArray[np.bool_]:
        """Clients that finish after the deadline as planned, for whatever reason; (..., K)."""
        return np.asarray(self.latency_s > np.asarray(self.problem.deadline_s) * ON_TIME)

    @property
    def _too_long(self) -> NDArray[np.bool_]:
        """Clients whose fixed work alone takes longer than the deadline."""
        return self.problem.slack_s < 0

    @property
    def _left_out(self) -> NDArray[np.bool_]:
        return (
            np.zeros(self.problem.shape, dtype=np.bool_) if self.left_out is None else self.left_out
        )

    @property
    def _needed_band(self) -> Array:
        """Band that each client needs to take part; (..., K).

        It is 0 where no band suffices for the fixed work.
        """
        return np.where(
            self._too_long,
            0.0,
            np.maximum(self.problem.min_bandwidth, self.problem.entry_bandwidth),
        )

    @property
    def _over_cap(self) -> NDArray[np.bool_]:
        return self.pruning_ratio > np.asarray(self.problem.max_pruning_ratio) + 1e-12

    @property
    def _crowded_out(self) -> NDArray[np.bool_]:
        """Clients with fixed bits that prune everything, as not all fixed bits fit the band."""
        fixed_bits = np.asarray(self.problem.fixed_upload_bits) > 0
        crowded_out: NDArray[np.bool_] = (
            fixed_bits & (self.pruning_ratio >= 1.0) & (self.bandwidth_fraction == 0.0)
        )
        return crowded_out

    @property
    def shortfall_s(self) -> Array:
        """Seconds by which a client misses the deadline whatever its band; (..., K).

        It is counted at ratio 1, or at the cap of the client.
        """
        needed_s = (1.0 - np.asarray(self.problem.max_pruning_ratio)) * np.asarray(
            self.problem.prunable_s
        )
        over_s = np.where(self._too_long, 0.0, needed_s) - self.problem.slack_s
        return np.maximum(over_s, 0.0)

    @property
    def shortfall_fraction(self) -> Array:
        """Band missing for all caps and fixed bits, relative to the band; (...,).

        It is inf when no band is enough.
        """
        missing: Array = np.maximum(self._needed_band.sum(axis=-1) - 1.0, 0.0)
        return missing

    @property
    def shortfall_hz(self) -> Array | None:
        """`shortfall_fraction` in hertz; None when the problem has no `bandwidth_hz`."""
        return (
            None
            if self.problem.bandwidth_hz is None
            else self.shortfall_fraction * self.problem.bandwidth_hz
        )

    @property
    def reason(self) -> Any:
        """Reason why clients are infeasible or late; '' when none is.

        It is a str, or an array of str of shape (...,) for a batch.
        """
        batch = self.problem.shape[:-1]
        reasons = np.empty(batch, dtype=object)
        for index in np.ndindex(batch):
            reasons[index] = self._reason(index)
        return reasons if batch else str(reasons[()])

    def _reason(self, index: tuple[int, ...]) -> str:
        too_long = self._too_long[index]
        over = self._over_cap[index]
        deadline_ms = 1e3 * np.asarray(self.problem.deadline_s)[index]
        parts = [
            f"client {k}: its fixed work alone misses the deadline of {deadline_ms[k]:g} ms "
            f"by {1e3 * self.shortfall_s[index][k]:.4g} ms"
            for k in np.flatnonzero(too_long)
        ]
        out = self._left_out[index] & ~too_long
        parts += self._reasons_left_out(index, out)
        over = over & ~too_long & ~out
        crowded = self._crowded_out[index] & ~too_long & ~out
        if crowded.any():
            names = ", ".join(str(k) for k in np.flatnonzero(crowded))
            parts.append(
                f"clients {names}: the fixed bits of all do not fit, {self._missing_band(index)}"
            )
        if over.any():
            names = ", ".join(str(k) for k in np.flatnonzero(over))
            parts.append(
                f"clients {names}: max_pruning_ratio cannot be kept, {self._missing_band(index)}"
            )
        parts += self._reasons_late(index, self.status[index] == "late")
        return "; ".join(parts)

    def _reasons_late(self, index: tuple[int, ...], late: NDArray[np.bool_]) -> list[str]:
        over_s = (self.latency_s - np.asarray(self.problem.deadline_s))[index]
        never, some = late & ~np.isfinite(over_s), late & np.isfinite(over_s)
        parts = []
        if never.any():
            names = ", ".join(str(k) for k in np.flatnonzero(never))
            parts.append(f"clients {names}: never finish, they have bits to upload and no rate")
        if some.any():
            names = ", ".join(str(k) for k in np.flatnonzero(some))
            parts.append(
                f"clients {names}: late by up to {1e3 * over_s[some].max():.4g} ms at their bands "
                "and ratios"
            )
        return parts

    def _reasons_left_out(self, index: tuple[int, ...], out: NDArray[np.bool_]) -> list[str]:
        needed = self._needed_band[index]
        left = 1.0 - needed[~out].sum()
        return [
            f"client {k}: left out, "
            + (
                f"it needs {needed[k]:.4g} of the band and {left:.4g} is left"
                if needed[k] <= 1
                else "no band is enough"
            )
            if needed[k] > max(left, 0.0)
            else f"client {k}: left out, although its band would fit"
            for k in np.flatnonzero(out)
        ]

    def _missing_band(self, index: tuple[int, ...]) -> str:
        missing = self.shortfall_fraction[index]
        if not np.isfinite(missing):
            return "no band is enough"
        if missing == 0:
            return "the band is enough, but not as it is divided here"
        hertz = (
            ""
            if self.problem.bandwidth_hz is None
            else f" ({missing * self.problem.bandwidth_hz:.4g} Hz)"
        )
        return f"{missing:.4g} of the band{hertz} is missing"
