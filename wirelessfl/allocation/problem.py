"""The allocation problem in seconds and bits, and its answer: the two values between network,
solver and training.

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
from wirelessfl.allocation.interface import (
    Array,
    Problem,
    broadcast_fields,
    check_band,
    ratio,
    times,
)

__all__ = ["Allocation", "AllocationProblem", "Array", "Problem", "ratio"]


@dataclass(frozen=True, kw_only=True, eq=False)
class AllocationProblem:
    """min sum_k weight_k pruning_ratio_k subject to T_k <= deadline_s, sum_k b_k <= 1, ratios <=
    max_pruning_ratio.

    Every field but `bandwidth_hz` is broadcast to (..., K) float64: K clients in the last axis, any
    batch axes before it. `rate_bps` is the rate over the whole band; `bandwidth_hz` only turns
    missing band into hertz.

    Raises `InputError` for values that are not finite, negative, a deadline <= 0, a cap outside [0,
    1], shapes that do not broadcast.
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

    def __post_init__(self) -> None:
        broadcast_fields(self)
        if self.bandwidth_hz is not None:
            check_band(self.bandwidth_hz)

    @property
    def shape(self) -> tuple[int, ...]:
        """(..., K)."""
        return np.shape(self.fixed_s)

    @cached_property
    def slack_s(self) -> Array:
        """S_k = deadline_s - fixed_s, what is left for the prunable part ([WFL] eq. (39),
        [WFL] erratum W1); (..., K).
        """
        return np.asarray(self.deadline_s) - np.asarray(self.fixed_s)

    @cached_property
    def upload_s(self) -> Array:
        """A_k: seconds to upload the unpruned prunable bits over the whole band; (..., K), inf at
        rate 0.
        """
        return ratio(np.asarray(self.upload_bits), np.asarray(self.rate_bps))

    @cached_property
    def fixed_upload_s(self) -> Array:
        """Seconds to upload the fixed bits over the whole band; (..., K), inf at rate 0."""
        return ratio(np.asarray(self.fixed_upload_bits), np.asarray(self.rate_bps))

    @property
    def min_bandwidth(self) -> Array:
        """Smallest band fraction with which each client meets the deadline at its cap; (..., K),
        inf when none does.
        """
        kept = 1.0 - np.asarray(self.max_pruning_ratio)
        bits_s = np.where(kept > 0, times(kept, self.upload_s) + self.fixed_upload_s, 0.0)
        room_s = self.slack_s - kept * np.asarray(self.prunable_s)
        return np.where(
            room_s < 0, np.inf, np.where(bits_s == 0, 0.0, ratio(bits_s, np.maximum(room_s, 0.0)))
        )

    @property
    def entry_bandwidth(self) -> Array:
        """Smallest band fraction that carries a client's fixed bits in its slack; (..., K), inf
        when none does.
        """
        slack_s = np.maximum(self.slack_s, 0.0)
        return ratio(self.fixed_upload_s, slack_s)

    def speed(self, bandwidth_fraction: ArrayLike) -> Array:
        """Rate at each fraction of the band over that at the whole band: the fraction itself."""
        return np.asarray(bandwidth_fraction, dtype=np.float64)

    def band_at(self, speed: ArrayLike) -> Array:
        """The fraction of the band that gives `speed`; the inverse of `speed`."""
        return np.asarray(speed, dtype=np.float64)

    def latency_s(self, bandwidth_fraction: ArrayLike, pruning_ratio: ArrayLike) -> Array:
        """T_k of the module's formula; (..., K). inf where bits are left and there is no band."""
        return self.latency_of_kept_s(
            bandwidth_fraction, 1.0 - np.asarray(pruning_ratio, dtype=np.float64)
        )

    def latency_of_kept_s(self, bandwidth_fraction: ArrayLike, kept_fraction: ArrayLike) -> Array:
        """T_k from the kept fraction x, which 1 - ratio loses below 1e-16; (..., K)."""
        kept = np.asarray(kept_fraction, dtype=np.float64)
        band = np.asarray(bandwidth_fraction, dtype=np.float64)
        upload_s = ratio(times(kept, self.upload_s), band) + np.where(
            kept > 0, ratio(self.fixed_upload_s, band), 0.0
        )
        return np.asarray(self.fixed_s) + kept * np.asarray(self.prunable_s) + upload_s
