"""Link model from signal-to-noise ratio to bits: rate, packet errors and uplink power."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.errors import check_choice, check_count, check_number
from wirelessfl.radio.nr_tables import EFFICIENCIES_BPS_HZ
from wirelessfl.radio.numerology import check_spacing
from wirelessfl.radio.snr_and_rate import shannon_rate_bps, snr_in_band
from wirelessfl.units import db_to_linear, dbm_to_watt

Array = NDArray[np.float64]

# Limit per packet: in an outage every transmission is lost, and each one is an event.
MOST_TRANSMISSIONS = 1000
MOST_DB = 300.0  # beyond any radio, within any float
RATE_MODELS = ("shannon", "cqi", "mcs")
PACKET_ERRORS = ("none", "outage", "waterfall")
POWER_CONTROLS = ("fixed", "open-loop")
POWER_CLASSES = {  # largest power in W
    "none": np.inf,
    "pc3": float(dbm_to_watt(23.0)),
    "pc2": float(dbm_to_watt(26.0)),
}


@dataclass(frozen=True, kw_only=True)
class Link:
    """Rate model, packet errors and power control of the uplink; part of section `scenario`.

    **Differs:** the thresholds of a table are those of Shannon's rate after the gap, not of
    measured block error rates; a gap of 1 dB (QPSK) to 4 dB (64-QAM at rate 0.9) stands for NR's
    codes at one block in ten lost. Losses are the matter of `packet_error`.

    Attributes:
        rate_model: Efficiency at an SNR. shannon: log2(1 + SNR / gap); cqi, mcs: the largest
            efficiency of the NR table (3GPP TS 38.214, tables 5.2.2.1-2 and 5.1.3.1-1) that is at
            most this, 0 below the smallest.
        snr_gap_db: Gap to Shannon's rate in dB; from 0 to 300; 0 is Shannon's rate itself.
        max_bps_hz: Largest efficiency in (bit/s)/Hz of any rate model; from 1e-3 to 1e3. Not set:
            no limit.
        subcarrier_spacing_hz: Sub-carrier spacing in Hz, which sets the width of a resource block;
            15e3, 30e3 or 60e3.
        packet_error: Loss of packets. none: no loss; outage: the client transmits at the rate of
            the believed gain and a packet is lost when the actual gain supports less; waterfall: a
            packet is lost with probability 1 - exp(-m / SNR).
        waterfall_threshold: m of the waterfall, a linear SNR; from 1e-30 to 1e30.
        packet_bits: Size of a packet in bits; from 1 to 1e30; the last packet of an upload may be
            shorter.
        max_transmissions: Transmissions of a packet, the first included, after which the client
            gives up and its update is lost; from 1 to 1000.
        power_control: Transmit power. fixed: the limit; open-loop: min(p0 + alpha PL + 10 log10 M,
            limit) over M blocks of 180 kHz. The limit is `transmit_power_w` or, where lower, that
            of `power_class`.
        power_class: Largest power of the device class. none: no limit; pc3: 23 dBm; pc2: 26 dBm.
        p0_dbm: Target power p0 at the receiver per resource block in dBm, of open-loop power
            control; from -300 to 300.
        path_loss_compensation: Fraction alpha of the path loss that open-loop power control
            compensates; from 0 to 1.

    Raises:
        InputError: A value is outside its limits.
    """

    rate_model: Literal["shannon", "cqi", "mcs"] = "shannon"
    snr_gap_db: float = 0.0
    max_bps_hz: float | None = None
    subcarrier_spacing_hz: float = 15e3
    packet_error: Literal["none", "outage", "waterfall"] = "none"
    waterfall_threshold: float = 0.023
    packet_bits: float = 12_000.0
    max_transmissions: int = 8
    power_control: Literal["fixed", "open-loop"] = "fixed"
    power_class: Literal["none", "pc3", "pc2"] = "none"
    p0_dbm: float = -90.0
    path_loss_compensation: float = 0.8

    def __post_init__(self) -> None:
        check_choice("scenario.rate_model", self.rate_model, RATE_MODELS)
        check_number("scenario.snr_gap_db", self.snr_gap_db, at_least=0, at_most=MOST_DB)
        if self.max_bps_hz is not None:
            check_number("scenario.max_bps_hz", self.max_bps_hz, at_least=1e-3, at_most=1e3)
        check_spacing("scenario.subcarrier_spacing_hz", self.subcarrier_spacing_hz)
        check_choice("scenario.packet_error", self.packet_error, PACKET_ERRORS)
        check_number(
            "scenario.waterfall_threshold", self.waterfall_threshold, at_least=1e-30, at_most=1e30
        )
        check_number("scenario.packet_bits", self.packet_bits, at_least=1, at_most=1e30)
        check_count("scenario.max_transmissions", self.max_transmissions)
        check_number(
            "scenario.max_transmissions", self.max_transmissions, at_most=MOST_TRANSMISSIONS
        )
        check_choice("scenario.power_control", self.power_control, POWER_CONTROLS)
        check_choice("scenario.power_class", self.power_class, POWER_CLASSES)
        check_number("scenario.p0_dbm", self.p0_dbm, at_least=-MOST_DB, at_most=MOST_DB)
        check_number(
            "scenario.path_loss_compensation", self.path_loss_compensation, at_least=0, at_most=1
        )

    @property
    def snr_gap(self) -> float:
        """Gap to Shannon's rate as a power ratio, 1 for Shannon's rate itself."""
        return float(db_to_linear(self.snr_gap_db))

    @property
    def class_limit_w(self) -> float:
        """Largest power that the power class allows, in W; inf without a class."""
        return POWER_CLASSES[self.power_class]

    @property
    def is_shannon(self) -> bool:
        """True where the efficiency is log2(1 + SNR / gap) at every SNR."""
        return self.rate_model == "shannon" and self.max_bps_hz is None

    @property
    def plans_shannon(self) -> bool:
        """True where the planned goodput has no table, cap or waterfall: Shannon's rate."""
        return self.is_shannon and self.packet_error != "waterfall"

    def efficiency_bps_hz(self, snr: ArrayLike) -> Array:
        """Efficiency eta at a signal-to-noise ratio, non-decreasing, 0 at SNR 0.

        Args:
            snr: Linear SNR inside the client's band; any shape.

        Returns:
            Efficiency in (bit/s)/Hz; the shape of `snr`.
        """
        supported = shannon_rate_bps(1.0, np.asarray(snr, dtype=np.float64) / self.snr_gap)
        if self.rate_model != "shannon":
            rows = EFFICIENCIES_BPS_HZ[self.rate_model]
            supported = rows[np.searchsorted(rows, supported, side="right") - 1]
        return np.minimum(supported, np.inf if self.max_bps_hz is None else self.max_bps_hz)

    def share_bps_hz(self, bandwidth_fraction: ArrayLike, snr: ArrayLike) -> Array:
        """Rate b eta(SNR / b) over a fraction b of the band, for noise with a density.

        With a table a wider fraction may carry less, where it takes SNR / b below a row: a client
        leaves no part of its band empty.

        Args:
            bandwidth_fraction: Fraction b of the band; any shape.
            snr: Linear SNR over the whole band ([WFL] erratum W7); broadcast against b.

        Returns:
            Rate in bit/s per hertz of the whole band.
        """
        band = np.asarray(bandwidth_fraction, dtype=np.float64)
        return np.asarray(band * self.efficiency_bps_hz(snr_in_band(band, snr)))

    def goodput_bps_hz(self, bandwidth_fraction: ArrayLike, snr: ArrayLike) -> Array:
        """Goodput: `share_bps_hz` times the probability 1 - q that a packet survives the waterfall.

        Args:
            bandwidth_fraction: Fraction b of the band; any shape.
            snr: Linear SNR over the whole band; broadcast against b.

        Returns:
            Goodput in bit/s per hertz of the whole band.
        """
        rate = self.share_bps_hz(bandwidth_fraction, snr)
        if self.packet_error != "waterfall":
            return rate
        return rate * (1.0 - self.waterfall_loss(snr_in_band(bandwidth_fraction, snr)))

    def waterfall_loss(self, snr: ArrayLike) -> Array:
        """Probability q = 1 - exp(-m / SNR) that a packet is lost, 1 at SNR 0.

        Args:
            snr: Linear SNR inside the client's band; any shape.

        Returns:
            Probability in [0, 1]; the shape of `snr`.
        """
        with np.errstate(divide="ignore"):
            return -np.expm1(-self.waterfall_threshold / np.asarray(snr, dtype=np.float64))
