"""The cell as discrete events: every client downloads, computes, then uploads over its share of the band (SimPy).

The cell takes what was allocated and what the channel really was, and says what happened. Without losses or
contention it equals max_k T_k of eq. (16)-(18) of [WFL].
"""

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import simpy

from wirelessfl.allocation import Allocation
from wirelessfl.radio import noise_psd_nats, shannon_rate_bps, snr
from wirelessfl.values import Array, ChannelState, Demand, RoundTiming, Scenario

ON_TIME = 1.0 + 1e-9  # the optimum finishes exactly at the deadline: rounding must drop nobody
SERVER = -1  # the client number of the server's own lines in a trace


@dataclass(frozen=True, eq=False)
class _Phases:
    """Seconds of each client's phases, shape (K,): download, fixed work, prunable work, upload."""

    download_s: Array
    fixed_s: Array
    prunable_s: Array
    upload_s: Array


def full_band_snr(scenario: Scenario, gain: Array) -> Array:
    """Signal-to-noise ratio of each client over the whole band; (K,)."""
    psd_w_per_hz = scenario.noise_psd_w_per_hz
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
    if scenario.noise_psd_w_per_hz is None:
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


def simulate(scenario: Scenario, channel: ChannelState, demand: Demand, allocation: Allocation) -> RoundTiming:
    """One round of the cell, from the start of the downlink at second 0 until the server goes on.

    Under the policy `wait` the server goes on when everybody has finished; under `drop` at the deadline at the
    latest. A late client's upload is followed to its end either way, so `finish_s` is always known.
    """
    phases = _phases(scenario, channel, demand, allocation)
    env = simpy.Environment()
    trace: list[tuple[float, int, str]] = []
    clients = [env.process(_client(env, k, phases, trace)) for k in range(scenario.clients)]
    server = env.process(_server(env, clients, scenario, trace))
    env.run()
    finish_s = np.array([client.value for client in clients])
    cycles = compute_s(scenario, demand.fixed_updates + _kept(allocation) * demand.prunable_updates)
    cycles = cycles * scenario.per_client("cpu_hz")
    return RoundTiming(
        download_s=phases.download_s,
        compute_s=phases.fixed_s + phases.prunable_s,
        upload_s=phases.upload_s,
        finish_s=finish_s,
        delivered=finish_s <= scenario.deadline_s * ON_TIME,
        energy_j=scenario.effective_capacitance * cycles * scenario.per_client("cpu_hz") ** 2
        + scenario.per_client("transmit_power_w") * phases.upload_s,
        round_s=float(np.float64(server.value)),
        trace=tuple(sorted(trace, key=lambda line: line[0])),  # who is on time by rounding stands after the deadline
    )


def download_s(scenario: Scenario, bits: Array) -> Array:
    """Seconds to receive `bits` over the downlink; (K,)."""
    return bits / scenario.per_client("downlink_rate_bps")


def _kept(allocation: Allocation) -> Array:
    return 1.0 - allocation.pruning_ratio


def _phases(scenario: Scenario, channel: ChannelState, demand: Demand, allocation: Allocation) -> _Phases:
    kept = _kept(allocation)
    bits = np.where(kept > 0, demand.fixed_upload_bits + kept * demand.prunable_upload_bits, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        upload_s = np.where(bits > 0, bits / rate_bps(scenario, channel.gain, allocation.bandwidth_fraction), 0.0)
    return _Phases(
        download_s=download_s(scenario, demand.fixed_download_bits + kept * demand.prunable_download_bits),
        fixed_s=compute_s(scenario, demand.fixed_updates),
        prunable_s=kept * compute_s(scenario, demand.prunable_updates),
        upload_s=upload_s,
    )


def _client(
    env: simpy.Environment, client: int, phases: _Phases, trace: list[tuple[float, int, str]]
) -> Generator[simpy.Event, None, float]:
    downloads = [(phases.download_s[client], "downloaded")] if phases.download_s[client] > 0 else []
    for seconds, event in (
        *downloads,
        (phases.fixed_s[client], "fixed work done"),
        (phases.prunable_s[client], "prunable work done"),
        (phases.upload_s[client], "uploaded"),
    ):
        yield env.timeout(float(seconds))
        trace.append((env.now, client, event))
    return float(env.now)


def _server(
    env: simpy.Environment, clients: list[simpy.Process], scenario: Scenario, trace: list[tuple[float, int, str]]
) -> Generator[simpy.Event, None, float]:
    deadline = env.timeout(scenario.deadline_s * ON_TIME)
    yield env.all_of(clients) | deadline
    if any(client.is_alive for client in clients):
        trace.append((scenario.deadline_s, SERVER, "deadline"))
        if scenario.deadline_policy == "drop":
            return scenario.deadline_s
        yield env.all_of(clients)
    return float(env.now)
