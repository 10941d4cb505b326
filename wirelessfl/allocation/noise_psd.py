"""Allocation problem with noise of a given density: a narrower band also receives less noise.

With b its fraction of the band a client's rate is R(b) = b B log2(1 + h p / (b B N0)) instead of
[WFL] eq. (13) ([WFL] erratum W7), increasing and concave in b, or with another link R(b) = b B
eta(SNR / b) times the fraction of packets that arrive. Everything else is the problem of
`wirelessfl.allocation.problem`, whose band fraction is replaced by the speed, R(b) over the largest
rate that a fraction of the band has.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from wirelessfl.allocation.costs import Costs
from wirelessfl.allocation.interface import (
    Array,
    broadcast_fields,
    check_band,
    ratio,
    rows_when_read,
)
from wirelessfl.allocation.problem import AllocationProblem
from wirelessfl.radio.snr_and_rate import noise_psd_band, noise_psd_slope
from wirelessfl.scenario.link import Link
from wirelessfl.scenario.share_rate import RatePieces, rate_pieces


@rows_when_read
@dataclass(frozen=True, kw_only=True, eq=False)
class NoisePsdProblem:
    """Problem min sum_k weight_k pruning_ratio_k with noise of a given density.

    The rate is R(b) = B `link.goodput_bps_hz(b, snr)`, by default b B log2(1 + snr / b). With N0 =
    K sigma^2 / B a client at b = 1/K has the rate of the model with fixed noise power sigma^2.
    Every field but `bandwidth_hz`, `link` and `costs` is broadcast to (..., K) float64.

    Attributes:
        deadline_s: Deadline of the round in s; from 1e-65 to 1e65.
        fixed_s: Time in s that pruning does not shorten; from 0 to 1e65.
        prunable_s: Time in s of the unpruned model that shrinks with the kept fraction; from 0 to
            1e65.
        upload_bits: Bits of the unpruned upload that shrink with the kept fraction; from 0 to 1e65.
        snr: Linear SNR h p / (B N0) over the whole band; from 0 to 1e30.
        bandwidth_hz: Bandwidth B in Hz; from 1e-65 to 1e65.
        fixed_upload_bits: Bits that pruning does not save; from 0 to 1e65.
        weight: Weight of the client in the objective; 0, or from 1e-65 to 1e65.
        max_pruning_ratio: Largest pruning ratio; from 0 to 1; 1 is no limit.
        link: Rate model and packet errors.
        costs: Cycles, frequencies and powers of the round; None where no energy is asked for.

    Raises:
        InputError: Values are not finite or outside their range, or shapes do not broadcast.
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
    link: Link = field(default_factory=Link)
    costs: Costs | None = None

    def __post_init__(self) -> None:
        check_band(self.bandwidth_hz)
        broadcast_fields(self)

    @property
    def is_shannon(self) -> bool:
        """True where R(b) = b B log2(1 + snr / b), without gap, cap, table or packet errors."""
        return self.link.plans_shannon and self.link.snr_gap == 1.0

    @property
    def pieces(self) -> RatePieces:
        """Pieces of the rate as a function of b / snr."""
        return rate_pieces(self.link)

    @cached_property
    def peak_band(self) -> Array:
        """Smallest fraction of the band with the largest rate; (..., K), 1 at SNR 0."""
        snr = np.asarray(self.snr)
        if self.is_shannon:
            return np.ones(self.shape)
        piece = np.arange(self.pieces.count)
        band = np.minimum(snr[..., None] * self.pieces.widest, 1.0)
        width = band / np.where(snr > 0, snr, 1.0)[..., None]
        started = width > self.pieces.narrowest
        best = np.where(started, self.pieces.goodput(piece, width), -1.0).argmax(axis=-1)
        return np.where(snr > 0, np.take_along_axis(band, best[..., None], axis=-1)[..., 0], 1.0)

    @cached_property
    def by_speed(self) -> AllocationProblem:
        """Problem in terms of speeds: rates proportional to the speed, except for sum b <= 1."""
        return AllocationProblem(
            deadline_s=self.deadline_s,
            fixed_s=self.fixed_s,
            prunable_s=self.prunable_s,
            upload_bits=self.upload_bits,
            rate_bps=self.bandwidth_hz * self._best_bps_hz,
            fixed_upload_bits=self.fixed_upload_bits,
            weight=self.weight,
            max_pruning_ratio=self.max_pruning_ratio,
            bandwidth_hz=self.bandwidth_hz,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (..., K) of every field."""
        return np.shape(self.fixed_s)

    @property
    def slack_s(self) -> Array:
        """S_k = deadline_s - fixed_s; (..., K)."""
        return self.by_speed.slack_s

    @property
    def upload_s(self) -> Array:
        """Seconds to upload all prunable bits at the largest rate; (..., K), inf at SNR 0."""
        return self.by_speed.upload_s

    @property
    def fixed_upload_s(self) -> Array:
        """Seconds to upload the fixed bits at the largest rate; (..., K), inf at SNR 0."""
        return self.by_speed.fixed_upload_s

    @property
    def min_bandwidth(self) -> Array:
        """Smallest band fraction with which each client meets the deadline at its cap; (..., K).

        It is inf where none suffices.
        """
        return self.band_at(self.by_speed.min_bandwidth)

    @property
    def entry_bandwidth(self) -> Array:
        """Smallest band fraction that carries a client's fixed bits in its slack; (..., K).

        It is inf where none suffices.
        """
        return self.band_at(self.by_speed.entry_bandwidth)

    def speed(self, bandwidth_fraction: ArrayLike) -> Array:
        """Rate R(b) relative to the largest rate.

        Args:
            bandwidth_fraction: Fraction b of the band; (..., K).

        Returns:
            Relative rate; (..., K), 0 at SNR 0.
        """
        return ratio(self.link.goodput_bps_hz(bandwidth_fraction, self.snr), self._best_bps_hz)

    def band_at(self, speed: ArrayLike) -> Array:
        """Smallest fraction of the band with a given relative rate.

        Args:
            speed: Relative rate; (..., K).

        Returns:
            Fraction of the band; (..., K), inf where none has this rate.
        """
        snr = np.asarray(self.snr)
        with np.errstate(invalid="ignore"):
            wanted = np.asarray(speed, dtype=np.float64) * self._best_bps_hz
        wanted = np.where(np.isnan(wanted), np.inf, wanted)
        if self.is_shannon:
            return noise_psd_band(wanted * np.log(2.0), snr)
        signal = np.where(snr > 0, snr, 1.0)
        reached = signal * self.pieces.width_at(wanted / signal)
        return np.where(snr > 0, reached, np.where(wanted > 0, np.inf, 0.0))

    def pace(self, bandwidth_fraction: ArrayLike) -> Array:
        """Derivative d(speed) / db, the left one where a piece ends.

        Args:
            bandwidth_fraction: Fraction b of the band; (..., K).

        Returns:
            Derivative; (..., K), 0 at SNR 0 and finite at b = 0.
        """
        snr = np.asarray(self.snr)
        if self.is_shannon:
            slope = noise_psd_slope(bandwidth_fraction, snr) / np.log(2.0)
        else:
            width = np.asarray(bandwidth_fraction) / np.where(snr > 0, snr, 1.0)
            slope = np.where(
                width <= self.pieces.widest[-1],
                self.pieces.slope(self.pieces.piece_at(width), width),
                0.0,
            )
        return ratio(np.where(snr > 0, slope, 0.0), self._best_bps_hz)

    @cached_property
    def _best_bps_hz(self) -> Array:
        return self.link.goodput_bps_hz(self.peak_band, self.snr)

    def latency_s(self, bandwidth_fraction: ArrayLike, pruning_ratio: ArrayLike) -> Array:
        """Latency of each client.

        T_k = fixed_s + x prunable_s + (x upload_bits + fixed_upload_bits) / R(b) with x = 1 - rho.

        Args:
            bandwidth_fraction: Fraction b of the band; (..., K).
            pruning_ratio: Pruning ratio rho; (..., K).

        Returns:
            Latency in s; (..., K).
        """
        return self.by_speed.latency_s(self.speed(bandwidth_fraction), pruning_ratio)

    def latency_of_kept_s(self, bandwidth_fraction: ArrayLike, kept_fraction: ArrayLike) -> Array:
        """Latency T_k from the kept fraction x, which 1 - ratio loses below 1e-16.

        Args:
            bandwidth_fraction: Fraction b of the band; (..., K).
            kept_fraction: Kept fraction x; (..., K).

        Returns:
            Latency in s; (..., K).
        """
        return self.by_speed.latency_of_kept_s(self.speed(bandwidth_fraction), kept_fraction)
