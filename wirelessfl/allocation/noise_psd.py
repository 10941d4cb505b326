"""The allocation problem with noise of a given power spectral density: who takes less band also
takes less noise.

With b its fraction of the band a client's rate is R(b) = b B log2(1 + h p / (b B N0)) instead of
[WFL] eq. (13) ([WFL] erratum W7): increasing and concave in b. Everything else is the problem of
`wirelessfl.allocation`, whose band fraction is replaced by the speed R(b) / R(1).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from wirelessfl.allocation.interface import Array, broadcast_fields, check_band, ratio
from wirelessfl.allocation.problem import AllocationProblem
from wirelessfl.radio.snr_and_rate import (
    noise_psd_band,
    noise_psd_nats,
    noise_psd_slope,
    shannon_rate_bps,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class NoisePsdProblem:
    """min sum_k weight_k pruning_ratio_k as in `AllocationProblem`, with R(b) = b B log2(1 + snr /
    b).

    `snr` = h p / (B N0) is the linear signal-to-noise ratio over the whole band of `bandwidth_hz` =
    B. With N0 = K sigma^2 / B a client at b = 1/K has the rate of the model with fixed noise power
    sigma^2. Every field but `bandwidth_hz` is broadcast to (..., K) float64.

    Raises `InputError` for values that are not finite, negative, a deadline or band <= 0, a cap
    outside [0, 1], shapes that do not broadcast.
    """

    deadline_s: ArrayLike
    fixed_s: ArrayLike
    prunable_s: ArrayLike
    upload_bits: ArrayLike
    snr: ArrayLike
    bandwidth_hz: float
    fixed_upload_bits: ArrayLike = 0.0
    weight: ArrayLike = 1.0
    max_pruning_ratio: ArrayLike = 1.0

    def __post_init__(self) -> None:
        check_band(self.bandwidth_hz)
        broadcast_fields(self)

    @cached_property
    def by_speed(self) -> AllocationProblem:
        """The problem in speeds R(b) / R(1): that of a rate proportional to its share, except for
        sum b <= 1.
        """
        return AllocationProblem(
            deadline_s=self.deadline_s,
            fixed_s=self.fixed_s,
            prunable_s=self.prunable_s,
            upload_bits=self.upload_bits,
            rate_bps=shannon_rate_bps(self.bandwidth_hz, self.snr),
            fixed_upload_bits=self.fixed_upload_bits,
            weight=self.weight,
            max_pruning_ratio=self.max_pruning_ratio,
            bandwidth_hz=self.bandwidth_hz,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """(..., K)."""
        return np.shape(self.fixed_s)

    @property
    def slack_s(self) -> Array:
        """S_k = deadline_s - fixed_s; (..., K)."""
        return self.by_speed.slack_s

    @property
    def upload_s(self) -> Array:
        """Seconds to upload the unpruned prunable bits over the whole band; (..., K), inf at SNR 0."""
        return self.by_speed.upload_s

    @property
    def fixed_upload_s(self) -> Array:
        """Seconds to upload the fixed bits over the whole band; (..., K), inf at SNR 0."""
        return self.by_speed.fixed_upload_s

    @property
    def min_bandwidth(self) -> Array:
        """Smallest band fraction with which each client meets the deadline at its cap; (..., K),
        inf when none does.
        """
        return self.band_at(self.by_speed.min_bandwidth)

    @property
    def entry_bandwidth(self) -> Array:
        """Smallest band fraction that carries a client's fixed bits in its slack; (..., K), inf
        when none does.
        """
        return self.band_at(self.by_speed.entry_bandwidth)

    def speed(self, bandwidth_fraction: ArrayLike) -> Array:
        """R(b) / R(1) = b ln(1 + snr / b) / ln(1 + snr); (..., K), 0 at SNR 0."""
        return ratio(noise_psd_nats(bandwidth_fraction, self.snr), np.log1p(np.asarray(self.snr)))

    def band_at(self, speed: ArrayLike) -> Array:
        """The fraction of the band that gives `speed`; (..., K), inf where more band never gives
        that much.
        """
        with np.errstate(invalid="ignore"):
            nats = np.asarray(speed, dtype=np.float64) * np.log1p(np.asarray(self.snr))
        return noise_psd_band(np.where(np.isnan(nats), np.inf, nats), self.snr)

    def pace(self, bandwidth_fraction: ArrayLike) -> Array:
        """d(speed) / db; (..., K), 0 at SNR 0 and finite at b = 0."""
        snr = np.asarray(self.snr)
        return np.where(
            snr > 0,
            noise_psd_slope(bandwidth_fraction, snr) / np.log1p(np.where(snr > 0, snr, 1.0)),
            0.0,
        )

    def latency_s(self, bandwidth_fraction: ArrayLike, pruning_ratio: ArrayLike) -> Array:
        """T_k = fixed_s + x prunable_s + (x upload_bits + fixed_upload_bits) / R(b), x = 1 - rho;
        (..., K).
        """
        return self.by_speed.latency_s(self.speed(bandwidth_fraction), pruning_ratio)
