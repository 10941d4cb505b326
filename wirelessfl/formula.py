"""What a round costs by formula: rates, seconds per phase, joules (K,); the cell as events is in `wirelessfl.cell`.

The server plans with these formulas, and a sweep may use them alone where nothing is lost and nobody waits for another.
"""

from dataclasses import dataclass

import numpy as np

from wirelessfl.allocation import Allocation
from wirelessfl.radio import noise_psd_nats, shannon_rate_bps, snr
from wirelessfl.values import Array, ChannelState, Demand, Scenario

ON_TIME = 1.0 + 1e-9  # the optimum finishes exactly at the deadline: rounding must drop nobody


@dataclass(frozen=True, eq=False)
class Phases:
    """Seconds of each client's phases, shape (K,): download, fixed work, prunable work, upload."""

    download_s: Array
    fixed_s: Array
    prunable_s: Array
    upload_s: Array


def full_band_snr(scenario: Scenario, gain: Array) -> Array:
    """Signal-to-noise ratio of each client over the whole band; (K,)."""
    psd_w_per_hz = scenario.noise_density_w_per_hz
    noise_w = scenario.noise_power_w if psd_w_per_hz is None else psd_w_per_hz * scenario.bandwidth_hz
    return snr(gain, scenario.per_client("transmit_power_w"), noise_w)


def full_band_rate_bps(scenario: Scenario, gain: Array) -> Array:
    """Rate of each client if it had the whole band, eq. (13) of [WFL]; (K,)."""
    return shannon_rate_bps(scenario.bandwidth_hz, full_band_snr(scenario, gain))


def rate_bps(scenario: Scenario, gain: Array, bandwidth_fraction: Array) -> Array:
    """Rate of each client over its share of the band; (K,).

    b times the rate over the whole band where the noise power is fixed (eq. 13 of [WFL]), b B log2(1 + SNR / b) where
    the scenario has a noise spectral density (erratum W7).
    """
    if scenario.noise_density_w_per_hz is None:
        return bandwidth_fraction * full_band_rate_bps(scenario, gain)
    nats = noise_psd_nats(bandwidth_fraction, full_band_snr(scenario, gain))
    return scenario.bandwidth_hz * nats / np.log(2.0)


def compute_s(scenario: Scenario, updates: Array) -> Array:
    """Seconds to do `updates` weight updates, cycles_per_weight * updates / cpu_hz (eq. 11-12 of [WFL]); (K,)."""
    return scenario.per_client("cycles_per_weight") * updates / scenario.per_client("cpu_hz")


def fixed_s(scenario: Scenario, demand: Demand) -> Array:
    """Seconds that a client spends whatever it prunes: fixed download and fixed work; (K,)."""
    return download_s(scenario, demand.fixed_download_bits) + compute_s(scenario, demand.fixed_updates)


def prunable_s(scenario: Scenario, demand: Demand) -> Array:
    """Seconds, besides the upload, that shrink with (1 - pruning_ratio): prunable download and work; (K,)."""
    return download_s(scenario, demand.prunable_download_bits) + compute_s(scenario, demand.prunable_updates)


def download_s(scenario: Scenario, bits: Array) -> Array:
    """Seconds to receive `bits` over the downlink; (K,)."""
    return bits / scenario.per_client("downlink_rate_bps")


def phases(scenario: Scenario, channel: ChannelState, demand: Demand, allocation: Allocation) -> Phases:
    """Seconds of each phase under an allocation when the gain holds and nothing is lost; (K,)."""
    kept = 1.0 - allocation.pruning_ratio
    bits = np.where(kept > 0, demand.fixed_upload_bits + kept * demand.prunable_upload_bits, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        upload_s = np.where(bits > 0, bits / rate_bps(scenario, channel.gain, allocation.bandwidth_fraction), 0.0)
    return Phases(
        download_s=download_s(scenario, demand.fixed_download_bits + kept * demand.prunable_download_bits),
        fixed_s=compute_s(scenario, demand.fixed_updates),
        prunable_s=kept * compute_s(scenario, demand.prunable_updates),
        upload_s=upload_s,
    )
