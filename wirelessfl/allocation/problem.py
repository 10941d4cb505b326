"""Allocation problem in seconds and bits, the interface between network, solver and training.

Per client k, with x = 1 - pruning_ratio the kept fraction and b its fraction of the band,

    T_k(b, x) = fixed_s + x (prunable_s + upload_bits / (b rate_bps)) + fixed_upload_bits / (b
    rate_bps),

[WFL] eq. (16)-(17) with the importance latency of [WFL] eq. (12) inside `fixed_s`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.costs import Costs
from wirelessfl.allocation.interface import (
    Array,
    Problem,
    broadcast_fields,
    check_band,
    ratio,
    rows_when_read,
    times,
)

__all__ = ["Allocation", "AllocationProblem", "Array", "Problem", "ratio"]


@rows_when_read
@dataclass(frozen=True, kw_only=True, eq=False)
class AllocationProblem:
    """Problem min sum_k weight_k pruning_ratio_k with noise of fixed power.

    Constraints are T_k <= deadline_s, sum_k b_k <= 1 and pruning_ratio_k <= max_pruning_ratio_k.
    Every field but `bandwidth_hz` and `costs` is broadcast to (..., K) float64: K clients in the
    last axis, any batch axes before it.

    Attributes:
        deadline_s: Deadline of the round in s; from 1e-65 to 1e65.
        fixed_s: Time in s that pruning does not shorten; from 0 to 1e65.
        prunable_s: Time in s of the unpruned model that shrinks with the kept fraction; from 0 to
            1e65.
        upload_bits: Bits of the unpruned upload that shrink with the kept fraction; from 0 to 1e65.
        rate_bps: Rate over the whole band in bit/s; from 0 to 1e65.
        fixed_upload_bits: Bits that pruning does not save; from 0 to 1e65.
        weight: Weight of the client in the objective; 0, or from 1e-65 to 1e65.
        max_pruning_ratio: Largest pruning ratio; from 0 to 1; 1 is no limit.
        bandwidth_hz: Bandwidth in Hz, which only converts a shortfall of band to hertz; from 1e-65
            to 1e65. None: the shortfall is a fraction only.
        costs: Cycles, frequencies and powers of the round; None where no energy is asked for.

    Raises:
        InputError: Values are not finite or outside their range, or shapes do not broadcast.
    """

    deadline_s: ArrayLike
    fixed_s: ArrayLike
    prunable_s: ArrayLike
    upload_bits: ArrayLike
    rate_bps: ArrayLike
    fixed_upload_bits: ArrayLike = 0.0
    weight: ArrayLike = 1.0
    max_pruning_ratio: ArrayLike = 1.0
    bandwidth_hz: float | None = None
    costs: Costs | None = None

    def __post_init__(self) -> None:
        broadcast_fields(self)
        if self.bandwidth_hz is not None:
            check_band(self.bandwidth_hz)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (..., K) of every field."""
        table: Array | None = self.__dict__["_table"]
        return np.shape(self.fixed_s) if table is None else table.shape[1:]

    @property
    def few(self) -> Array | None:
        """Fields of one problem of few clients as rows of a table, (8, K); None for other ones.

        The rows are in the order of the fields. Compiled code reads them, and must not write.
        """
        table: Array | None = self.__dict__["_table"]
        return table if table is not None and table.ndim == 2 else None

    @cached_property
    def slack_s(self) -> Array:
        """Slack S_k = deadline_s - fixed_s, the time for the prunable part; (..., K).

        [WFL] eq. (39) with [WFL] erratum W1.
        """
        slack_s: Array = np.asarray(self.deadline_s) - np.asarray(self.fixed_s)
        return slack_s

    @cached_property
    def upload_s(self) -> Array:
        """Upload time A_k of the unpruned prunable bits over the whole band, in s; (..., K).

        It is inf at rate 0.
        """
        return ratio(np.asarray(self.upload_bits), np.asarray(self.rate_bps))

    @cached_property
    def fixed_upload_s(self) -> Array:
        """Seconds to upload the fixed bits over the whole band; (..., K), inf at rate 0."""
        return ratio(np.asarray(self.fixed_upload_bits), np.asarray(self.rate_bps))

    @property
    def min_bandwidth(self) -> Array:
        """Smallest band fraction with which each client meets the deadline at its cap; (..., K).

        It is inf where none suffices.
        """
        kept = 1.0 - np.asarray(self.max_pruning_ratio)
        bits_s = np.where(kept > 0, times(kept, self.upload_s) + self.fixed_upload_s, 0.0)
        room_s = self.slack_s - kept * np.asarray(self.prunable_s)
        return np.where(
            room_s < 0, np.inf, np.where(bits_s == 0, 0.0, ratio(bits_s, np.maximum(room_s, 0.0)))
        )

    @property
    def entry_bandwidth(self) -> Array:
        """Smallest band fraction that carries a client's fixed bits in its slack; (..., K).

        It is inf where none suffices.
        """
        slack_s = np.maximum(self.slack_s, 0.0)
        return ratio(self.fixed_upload_s, slack_s)

    def speed(self, bandwidth_fraction: ArrayLike) -> Array:
        """Rate over a fraction of the band relative to the whole band: the fraction itself.

        Args:
            bandwidth_fraction: Fraction of the band; (..., K).

        Returns:
            Relative rate; (..., K).
        """
        return np.asarray(bandwidth_fraction, dtype=np.float64)

    def band_at(self, speed: ArrayLike) -> Array:
        """Fraction of the band with a given relative rate, the inverse of `speed`.

        Args:
            speed: Relative rate; (..., K).

        Returns:
            Fraction of the band; (..., K).
        """
        return np.asarray(speed, dtype=np.float64)

    def latency_s(self, bandwidth_fraction: ArrayLike, pruning_ratio: ArrayLike) -> Array:
        """Latency T_k of the module's formula.

        Args:
            bandwidth_fraction: Fraction b of the band; (..., K).
            pruning_ratio: Pruning ratio; (..., K).

        Returns:
            Latency in s; (..., K), inf for bits without band.
        """
        return self.latency_of_kept_s(
            bandwidth_fraction, 1.0 - np.asarray(pruning_ratio, dtype=np.float64)
        )

    def latency_of_kept_s(self, bandwidth_fraction: ArrayLike, kept_fraction: ArrayLike) -> Array:
        """Latency T_k from the kept fraction x, which 1 - ratio loses below 1e-16.

        Args:
            bandwidth_fraction: Fraction b of the band; (..., K).
            kept_fraction: Kept fraction x; (..., K).

        Returns:
            Latency in s; (..., K), inf for bits without band.
        """
        kept = np.asarray(kept_fraction, dtype=np.float64)
        band = np.asarray(bandwidth_fraction, dtype=np.float64)
        upload_s = ratio(times(kept, self.upload_s), band) + np.where(
            kept > 0, ratio(self.fixed_upload_s, band), 0.0
        )
        latency_s: Array = np.asarray(self.fixed_s) + kept * np.asarray(self.prunable_s) + upload_s
        return latency_s
