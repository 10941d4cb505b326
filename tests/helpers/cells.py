"""Cells with durations known in closed form, and random ones, for tests of the cell."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from wirelessfl.allocation.allocation import Allocation
from wirelessfl.planning import allocation_problem
from wirelessfl.values import ChannelState, Demand, Scenario

HZ = 1e6  # the band of `by_hand`
SNR_PER_GAIN = 1e12  # its transmit power over its noise


def by_hand(
    work_s: ArrayLike,
    bits: ArrayLike,
    *,
    snr: ArrayLike = 1.0,
    share: ArrayLike | None = None,
    ratio: ArrayLike = 0.0,
    blocks: Callable[[int], ArrayLike] | None = None,
    believed_snr: ArrayLike | None = None,
    **changes: Any,
) -> tuple[Scenario, ChannelState, Demand, Allocation]:
    """Clients that work for `work_s` seconds and upload `bits` over 1 MHz.

    1 GHz, one cycle per update, 1 W, noise 1e-12 W: at SNR 1 (3) the whole band carries 1 (2)
    Mbit/s. The work is fixed where the ratio is 1, else prunable. `blocks` is a function of the
    block that gives its SNR. Names of nested fields (`bands`, `packet_error`, ...) may be given
    like any other of the scenario.

    Returns:
        Scenario, channel, demand and allocation.
    """
    work_s, bits = np.broadcast_arrays(
        np.atleast_1d(np.asarray(work_s, dtype=float)), np.asarray(bits, dtype=float)
    )
    clients = len(work_s)
    base = Scenario(
        clients=clients,
        bandwidth_hz=HZ,
        noise_power_w=1e-12,
        transmit_power_w=1.0,
        cpu_hz=1e9,
        cycles_per_weight=1.0,
    )
    scenario = changed(base, **changes)
    ratio = np.broadcast_to(np.asarray(ratio, dtype=float), clients)
    starved = ratio == 1
    kept = np.where(ratio == 1, 1.0, 1.0 - ratio)
    demand = Demand(
        fixed_updates=np.where(starved, work_s, 0.0) * 1e9,
        prunable_updates=work_s * 1e9 / kept,
        fixed_upload_bits=np.zeros(clients),
        prunable_upload_bits=bits / kept,
    )
    gain = np.broadcast_to(np.asarray(snr, dtype=float), clients) / SNR_PER_GAIN
    believed = (
        gain if believed_snr is None else np.broadcast_to(believed_snr, clients) / SNR_PER_GAIN
    )
    block_gain = None
    if blocks is not None:

        def block_gain(block: int) -> np.ndarray:
            return np.broadcast_to(np.asarray(blocks(block), dtype=float), clients) / SNR_PER_GAIN

        gain = block_gain(0)
    channel = ChannelState(gain=gain, believed_gain=believed, block_gain=block_gain)
    share = np.full(clients, 1.0 / clients) if share is None else np.asarray(share, dtype=float)
    return scenario, channel, demand, allocate(scenario, channel, demand, share, ratio)


def changed(scenario: Scenario, **changes: Any) -> Scenario:
    """The scenario with other values of its fields or of those of its parts."""
    for part in ("link", "processor", "medium"):
        names = {field.name for field in dataclasses.fields(getattr(scenario, part))}
        own = {name: changes.pop(name) for name in names & set(changes)}
        scenario = dataclasses.replace(
            scenario, **{part: dataclasses.replace(getattr(scenario, part), **own)}
        )
    return dataclasses.replace(scenario, **changes)


def make_case(
    seed: int, clients: int, policy: Any = "wait"
) -> tuple[Scenario, ChannelState, Demand]:
    """A scenario, a channel and a demand of plausible magnitudes, all different by client."""
    rng = np.random.default_rng(seed)
    scenario = Scenario(
        clients=clients,
        cpu_hz=rng.uniform(1e9, 3e9, clients),
        cycles_per_weight=rng.uniform(100, 400, clients),
        transmit_power_w=rng.uniform(0.1, 1.0, clients),
        deadline_policy=policy,
    )
    channel = ChannelState.perfect_csi(10 ** rng.uniform(-13, -11, clients))
    demand = Demand(
        fixed_updates=rng.uniform(0, 5e4, clients),
        prunable_updates=rng.uniform(0, 9e4, clients),
        fixed_upload_bits=rng.uniform(0, 1e4, clients) * (rng.random(clients) < 0.5),
        prunable_upload_bits=rng.uniform(1e4, 6e5, clients),
    )
    return scenario, channel, demand


def allocate(
    scenario: Scenario, channel: ChannelState, demand: Demand, band: ArrayLike, ratio: ArrayLike
) -> Allocation:
    price = np.zeros(())
    return Allocation(
        problem=allocation_problem(scenario, channel, demand),
        bandwidth_fraction=np.asarray(band, dtype=float),
        pruning_ratio=np.asarray(ratio, dtype=float),
        bandwidth_price=price,
        deadline_price=price,
    )


def random_allocation(
    seed: int, scenario: Scenario, channel: ChannelState, demand: Demand
) -> Allocation:
    rng = np.random.default_rng(seed + 1)
    ratio = rng.choice([0.0, 0.3, 0.9, 1.0], scenario.clients) * rng.uniform(
        0.9, 1.0, scenario.clients
    )
    ratio[rng.random(scenario.clients) < 0.2] = 1.0
    band = rng.dirichlet(np.ones(scenario.clients))
    return allocate(scenario, channel, demand, np.where(ratio < 1, band, 0.0), ratio)


def fading(seed: int, clients: int, low: float = -13, high: float = -11) -> ChannelState:
    """A channel whose gain differs between coherence blocks."""

    def block_gain(block: int) -> np.ndarray:
        return 10 ** np.random.default_rng((seed, block)).uniform(low, high, clients)

    return ChannelState(gain=block_gain(0), believed_gain=block_gain(0), block_gain=block_gain)


def permuted(scenario: Scenario, demand: Demand, order: np.ndarray) -> tuple[Scenario, Demand]:
    """The same cell with its clients in another order."""
    return (
        dataclasses.replace(
            scenario,
            cpu_hz=scenario.per_client("cpu_hz")[order],
            cycles_per_weight=scenario.per_client("cycles_per_weight")[order],
            transmit_power_w=scenario.per_client("transmit_power_w")[order],
        ),
        Demand(
            **{
                field.name: getattr(demand, field.name)[order]
                for field in dataclasses.fields(demand)
            }
        ),
    )
