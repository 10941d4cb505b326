"""Cost of a round in closed form: rates, seconds per phase, joules (K,).

The cell as discrete events is in `wirelessfl.cell.cell`. The server plans with these formulas, and
a sweep may use them alone where no update is lost and no client waits for another.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from wirelessfl.allocation.costs import round_energy_j
from wirelessfl.radio.numerology import resource_block_hz
from wirelessfl.radio.snr_and_rate import open_loop_power_dbm, snr, snr_in_band
from wirelessfl.units import dbm_to_watt, linear_to_db, watt_to_dbm
from wirelessfl.values import Array, ChannelState, Demand, Scenario


@dataclass(frozen=True, eq=False)
class Phases:
    """Seconds of each client's phases.

    Attributes:
        download_s: Download; (..., K).
        fixed_s: Work that pruning does not shorten; (..., K).
        prunable_s: Work that remains after pruning; (..., K).
        upload_s: Upload; (..., K).
    """

    download_s: Array
    fixed_s: Array
    prunable_s: Array
    upload_s: Array


def transmit_power_w(scenario: Scenario, channel: ChannelState) -> Array:
    """Transmit power of each client.

    `fixed` is `transmit_power_w` within the power class; `open-loop` is min(p0 + alpha PL + 10
    log10(2^mu M), that limit), 3GPP TS 38.213 section 7.1.1, with 2^mu the sub-carrier spacing over
    15 kHz and PL from `channel.path_gain` (from the believed gain where a channel gives none).

    **Differs:** M is the whole number of resource blocks in an equal fraction of the band among the
    participants of the round, at least 1, not in the allocated fraction: the power has to be known
    before the band is divided.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round; gains (..., K).

    Returns:
        Power in W; (..., K).
    """
    link = scenario.link
    limit_w = np.minimum(scenario.per_client("transmit_power_w"), link.class_limit_w)
    if link.power_control == "fixed":
        return limit_w
    path_gain = channel.believed_gain if channel.path_gain is None else channel.path_gain
    share_hz = scenario.bandwidth_hz / (channel.participants or scenario.clients)
    block_hz = resource_block_hz(link.subcarrier_spacing_hz)
    narrow_blocks = max(int(share_hz / block_hz), 1) * block_hz / resource_block_hz(15e3)
    path_loss_db = -linear_to_db(np.maximum(path_gain, np.finfo(np.float64).tiny))
    wanted_dbm = open_loop_power_dbm(
        path_loss_db, narrow_blocks, link.path_loss_compensation, link.p0_dbm, watt_to_dbm(limit_w)
    )
    return dbm_to_watt(wanted_dbm)


def full_band_snr(scenario: Scenario, channel: ChannelState, gain: Array) -> Array:
    """Signal-to-noise ratio over the whole band.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round, which open-loop power control follows.
        gain: Linear power gain; (..., K).

    Returns:
        Linear SNR; (..., K).
    """
    psd_w_per_hz = scenario.noise_density_w_per_hz
    noise_w = (
        scenario.noise_power_w if psd_w_per_hz is None else psd_w_per_hz * scenario.bandwidth_hz
    )
    return snr(gain, transmit_power_w(scenario, channel), noise_w)


def band_snr(
    scenario: Scenario, channel: ChannelState, gain: Array, bandwidth_fraction: Array
) -> Array:
    """Signal-to-noise ratio inside a fraction of the band.

    It is that over the whole band where the noise power is fixed, SNR / b where the noise has a
    density.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round, which open-loop power control follows.
        gain: Linear power gain; (..., K).
        bandwidth_fraction: Fraction b of the band; (..., K).

    Returns:
        Linear SNR; (..., K).
    """
    over_all = full_band_snr(scenario, channel, gain)
    if scenario.noise_density_w_per_hz is None:
        return over_all
    return snr_in_band(bandwidth_fraction, over_all)


def full_band_rate_bps(scenario: Scenario, channel: ChannelState, gain: Array) -> Array:
    """Rate over the whole band, [WFL] eq. (13) for Shannon's rate.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round, which open-loop power control follows.
        gain: Linear power gain; (..., K).

    Returns:
        Rate in bit/s; (..., K).
    """
    return scenario.bandwidth_hz * scenario.link.efficiency_bps_hz(
        full_band_snr(scenario, channel, gain)
    )


def rate_bps(
    scenario: Scenario, channel: ChannelState, gain: Array, bandwidth_fraction: Array
) -> Array:
    """Rate over a fraction b of the band, without packet errors.

    b times the rate over the whole band where the noise power is fixed ([WFL] eq. (13)), b B
    eta(SNR / b) with the link's efficiency eta where the noise has a density ([WFL] erratum W7).
    Plan, closed form and events all use this rate.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round, which open-loop power control follows.
        gain: Linear power gain; (..., K).
        bandwidth_fraction: Fraction b of the band; (..., K).

    Returns:
        Rate in bit/s; (..., K).
    """
    if scenario.noise_density_w_per_hz is None:
        return bandwidth_fraction * full_band_rate_bps(scenario, channel, gain)
    over_all = full_band_snr(scenario, channel, gain)
    return scenario.bandwidth_hz * scenario.link.share_bps_hz(bandwidth_fraction, over_all)


def sending_rate_bps(
    scenario: Scenario, channel: ChannelState, gain: Array, bandwidth_fraction: Array
) -> Array:
    """Transmission rate of each client: that of the believed gain under `outage`, else of `gain`.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round.
        gain: Actual linear power gain; (..., K).
        bandwidth_fraction: Fraction b of the band; (..., K).

    Returns:
        Rate in bit/s; (..., K).
    """
    at = channel.believed_gain if scenario.link.packet_error == "outage" else gain
    return rate_bps(scenario, channel, at, bandwidth_fraction)


def packet_loss(
    scenario: Scenario, channel: ChannelState, gain: Array, bandwidth_fraction: Array
) -> Array:
    """Probability q that a packet is lost; it is sent 1 / (1 - q) times on average.

    `waterfall`: q = 1 - exp(-m sigma^2 W / (p h)), with the noise sigma^2 W in the client's own
    band; `outage`: 1 where `gain` supports less than the rate of the believed gain, else 0.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round.
        gain: Actual linear power gain; (..., K).
        bandwidth_fraction: Fraction b of the band; (..., K).

    Returns:
        Probability in [0, 1]; (..., K).
    """
    if scenario.link.packet_error == "waterfall":
        return scenario.link.waterfall_loss(band_snr(scenario, channel, gain, bandwidth_fraction))
    sent_bps = sending_rate_bps(scenario, channel, gain, bandwidth_fraction)
    return np.asarray(
        sent_bps > rate_bps(scenario, channel, gain, bandwidth_fraction), dtype=np.float64
    )


def planned_rate_bps(scenario: Scenario, channel: ChannelState) -> Array:
    """Goodput over the whole band, rate x (1 - q), to plan with at fixed noise power.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round, of which the believed gain counts.

    Returns:
        Goodput in bit/s; (..., K).
    """
    whole = np.ones(())
    loss = packet_loss(scenario, channel, channel.believed_gain, whole)
    return full_band_rate_bps(scenario, channel, channel.believed_gain) * (1.0 - loss)


def compute_s(scenario: Scenario, updates: Array) -> Array:
    """Computation time cycles_per_weight * updates / cpu_hz, [WFL] eq. (11)-(12).

    Args:
        scenario: Cell and clients.
        updates: Number of weight updates; (K,).

    Returns:
        Seconds; (K,).
    """
    return scenario.per_client("cycles_per_weight") * updates / scenario.per_client("cpu_hz")


def fixed_s(scenario: Scenario, demand: Demand) -> Array:
    """Time that no pruning shortens: fixed download and fixed work.

    Args:
        scenario: Cell and clients.
        demand: Weight updates and bits; (K,).

    Returns:
        Seconds; (K,).
    """
    return fixed_download_s(scenario, demand) + compute_s(scenario, demand.fixed_updates)


def prunable_s(scenario: Scenario, demand: Demand) -> Array:
    """Time, except for the upload, that shrinks with (1 - pruning_ratio).

    Args:
        scenario: Cell and clients.
        demand: Weight updates and bits; (K,).

    Returns:
        Seconds of the unpruned download and work; (K,).
    """
    return prunable_download_s(scenario, demand) + compute_s(scenario, demand.prunable_updates)


def download_s(scenario: Scenario, demand: Demand, kept: Array) -> Array:
    """Time of the download.

    Under `downlink_broadcast` all clients that receive anything receive the largest dense download,
    at the rate of the slowest one.

    Args:
        scenario: Cell and clients.
        demand: Weight updates and bits; (K,).
        kept: Kept fraction of the prunable bits; (..., K).

    Returns:
        Seconds; (..., K).
    """
    rate_bps = scenario.per_client("downlink_rate_bps")
    if scenario.medium.downlink_broadcast:
        dense_bits = demand.fixed_download_bits + demand.prunable_download_bits
        receives = dense_bits > 0
        return np.where(
            receives, dense_bits.max() / rate_bps.min(where=receives, initial=np.inf), 0.0
        )
    return (demand.fixed_download_bits + kept * demand.prunable_download_bits) / rate_bps


def fixed_download_s(scenario: Scenario, demand: Demand) -> Array:
    """Time of the download that no pruning shortens: all of a broadcast.

    Args:
        scenario: Cell and clients.
        demand: Weight updates and bits; (K,).

    Returns:
        Seconds; (K,).
    """
    return download_s(scenario, demand, np.zeros(()))


def prunable_download_s(scenario: Scenario, demand: Demand) -> Array:
    """Time of the download that shrinks with (1 - pruning_ratio): 0 of a broadcast.

    Args:
        scenario: Cell and clients.
        demand: Weight updates and bits; (K,).

    Returns:
        Seconds; (K,).
    """
    bits = np.zeros(()) if scenario.medium.downlink_broadcast else demand.prunable_download_bits
    return bits / scenario.per_client("downlink_rate_bps")


def upload_bits(demand: Demand, kept: Array) -> Array:
    """Size of the upload, 0 where a client keeps nothing.

    Args:
        demand: Weight updates and bits; (K,).
        kept: Kept fraction of the prunable bits; (..., K).

    Returns:
        Bits; (..., K).
    """
    return np.where(kept > 0, demand.fixed_upload_bits + kept * demand.prunable_upload_bits, 0.0)


def energy_j(
    scenario: Scenario, channel: ChannelState, cpu_hz: Array, cpu_s: Array, transmit_s: Array
) -> Array:
    """Energy of a client's round in a cell, see `round_energy_j`.

    Args:
        scenario: Cell and clients, with kappa.
        channel: Channel of the round, which open-loop power control follows.
        cpu_hz: CPU frequency f of each client in the round; (K,).
        cpu_s: Seconds of CPU work of each client up to the round's end; (..., K).
        transmit_s: Seconds of transmission of each client up to the round's end; (..., K).

    Returns:
        Energy in J; (..., K).
    """
    power_w = transmit_power_w(scenario, channel)
    return round_energy_j(scenario.effective_capacitance, cpu_hz, cpu_s, power_w, transmit_s)


def busy_s(
    download_s: Array, compute_s: Array, upload_s: Array, finish_s: Array, round_s: Array | float
) -> tuple[Array, Array]:
    """Seconds of CPU work and of transmission up to the end of a round.

    A client downloads, computes and uploads in turn; one that is late stops at the round's end, and
    one without a rate (an upload of inf s) transmits nothing.

    Args:
        download_s: Seconds of the download, (..., K).
        compute_s: Seconds of the work after it, (..., K).
        upload_s: Seconds of the upload after that, (..., K).
        finish_s: Moment at which the client would finish, (..., K).
        round_s: End of the round, broadcast against (..., K).

    Returns:
        CPU seconds and seconds of transmission, both (..., K).
    """
    left_s = round_s - download_s
    late = finish_s > round_s
    cpu_s = np.where(late, np.clip(left_s, 0.0, compute_s), compute_s)
    transmit_s = np.where(late, np.clip(left_s - compute_s, 0.0, upload_s), upload_s)
    return cpu_s, np.where(np.isfinite(upload_s), transmit_s, 0.0)


class Shares(Protocol):
    """Part of an `Allocation` that the formulas read."""

    @property
    def bandwidth_fraction(self) -> Array:
        """Fraction of the band; (..., K)."""
        ...

    @property
    def kept_fraction(self) -> Array:
        """Fraction of the prunable part that is kept; (..., K)."""
        ...

    @property
    def cpu_hz(self) -> Array | None:
        """CPU frequency in Hz; (..., K). None: that of the scenario."""
        ...


def phases(scenario: Scenario, channel: ChannelState, demand: Demand, allocation: Shares) -> Phases:
    """Seconds of each phase under an allocation, with constant gain and no losses.

    Args:
        scenario: Cell and clients.
        channel: Channel of the round; gains (..., K).
        demand: Weight updates and bits; (K,).
        allocation: Bandwidth and kept fractions; (..., K).

    Returns:
        Seconds of each phase; (..., K).
    """
    kept = allocation.kept_fraction
    bits = upload_bits(demand, kept)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = sending_rate_bps(scenario, channel, channel.gain, allocation.bandwidth_fraction)
        upload_s = np.where(bits > 0, bits / rate, 0.0)
    return Phases(
        download_s=download_s(scenario, demand, kept),
        fixed_s=compute_s(scenario, demand.fixed_updates),
        prunable_s=kept * compute_s(scenario, demand.prunable_updates),
        upload_s=upload_s,
    )
