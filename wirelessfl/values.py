"""The values that flow through one round: frozen, keyword-only, SI units, arrays of shape (K,)."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wirelessfl.errors import InputError, check_choice, check_count, check_number

Array = NDArray[np.float64]
PerClient = float | tuple[float, ...]
# The fields of that type.
PER_CLIENT = ("transmit_power_w", "cpu_hz", "cycles_per_weight", "distance_m", "downlink_rate_bps")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A cell: what does not change from round to round.

    `PerClient` fields are one number for all clients or `clients` numbers (kept as a tuple). Clients stand at
    `distance_m` or, when that is not given, evenly spaced over `distance_range_m`. `downlink_rate_bps` is what each
    client receives at, apart from the band of the uplink; when it is not given the downlink takes no time, as in the
    papers. `noise_psd_w_per_hz` makes noise grow with a client's share of the band and takes the place of
    `noise_power_w`, which does not. Defaults are scenario S of [WFL] (Section IV; distances and cycles calibrated to
    its Table I).
    """

    clients: int = 10
    deadline_s: float = 0.025
    bandwidth_hz: float = 20e6
    noise_power_w: float = 1e-14  # -110 dBm
    transmit_power_w: PerClient = 0.6309573444801932  # 28 dBm
    cpu_hz: PerClient = 3e9
    cycles_per_weight: PerClient = 360.0
    distance_m: PerClient | None = None
    distance_range_m: tuple[float, float] = (160.0, 530.0)
    effective_capacitance: float = 1e-28  # kappa of the CPU energy kappa * cycles * f^2, in J s^2
    deadline_policy: Literal["wait", "drop"] = "wait"
    downlink_rate_bps: PerClient | None = None
    noise_psd_w_per_hz: float | None = None

    def __post_init__(self) -> None:
        for name in (*PER_CLIENT, "distance_range_m"):
            if isinstance(getattr(self, name), (list, np.ndarray)):
                object.__setattr__(self, name, tuple(np.asarray(getattr(self, name)).tolist()))
        check_count("scenario.clients", self.clients)
        for name in (
            "deadline_s",
            "bandwidth_hz",
            "noise_power_w",
            "transmit_power_w",
            "cpu_hz",
            "cycles_per_weight",
            "distance_range_m",
        ):
            check_number(f"scenario.{name}", getattr(self, name), above=0)
        for name in ("distance_m", "downlink_rate_bps", "noise_psd_w_per_hz"):
            if getattr(self, name) is not None:
                check_number(f"scenario.{name}", getattr(self, name), above=0)
        check_number("scenario.effective_capacitance", self.effective_capacitance, at_least=0)
        check_choice("scenario.deadline_policy", self.deadline_policy, ("wait", "drop"))
        if len(self.distance_range_m) != 2 or self.distance_range_m[0] > self.distance_range_m[1]:
            raise InputError(f"scenario.distance_range_m must be (nearest, farthest), got {self.distance_range_m}")
        for name in PER_CLIENT:
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.clients:
                raise InputError(
                    f"scenario.{name} must hold {self.clients} values (scenario.clients), got {len(value)}"
                )

    def per_client(self, name: str) -> Array:
        """Field `name` as an array of shape (K,); a downlink that takes no time has rate inf."""
        if name == "distance_m" and self.distance_m is None:
            return np.linspace(*self.distance_range_m, self.clients)
        if name == "downlink_rate_bps" and self.downlink_rate_bps is None:
            return np.full(self.clients, np.inf)
        return np.broadcast_to(np.asarray(getattr(self, name), dtype=np.float64), (self.clients,))


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelState:
    """Linear power gain of every client in one round, shape (K,); `believed_gain` is what the server knows of it."""

    gain: Array
    believed_gain: Array

    @classmethod
    def known(cls, gain: Array) -> "ChannelState":
        """A state that the server knows exactly."""
        return cls(gain=gain, believed_gain=gain)


@dataclass(frozen=True, kw_only=True, eq=False)
class Demand:
    """What training asks of the network in one round; every field has shape (K,).

    An *update* is one weight updated once: a client's cycles are the scenario's `cycles_per_weight` times its
    updates. The prunable parts shrink with (1 - pruning_ratio), the fixed parts do not. Download bits are 0 unless
    given.
    """

    fixed_updates: Array
    prunable_updates: Array
    fixed_upload_bits: Array
    prunable_upload_bits: Array
    fixed_download_bits: Array = field(default_factory=lambda: np.zeros(()))
    prunable_download_bits: Array = field(default_factory=lambda: np.zeros(()))

    def __post_init__(self) -> None:
        for name in ("fixed_download_bits", "prunable_download_bits"):
            object.__setattr__(self, name, np.broadcast_to(getattr(self, name), self.fixed_updates.shape))

    @classmethod
    def same_for_all(
        cls,
        clients: int,
        *,
        fixed_updates: float,
        prunable_updates: float,
        fixed_upload_bits: float,
        prunable_upload_bits: float,
        fixed_download_bits: float = 0.0,
        prunable_download_bits: float = 0.0,
    ) -> "Demand":
        """The demand of `clients` clients that all ask for the same."""
        return cls(
            fixed_updates=np.full(clients, float(fixed_updates)),
            prunable_updates=np.full(clients, float(prunable_updates)),
            fixed_upload_bits=np.full(clients, float(fixed_upload_bits)),
            prunable_upload_bits=np.full(clients, float(prunable_upload_bits)),
            fixed_download_bits=np.full(clients, float(fixed_download_bits)),
            prunable_download_bits=np.full(clients, float(prunable_download_bits)),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class RoundTiming:
    """What happened on the air in one round.

    Seconds since the start of the round and joules, shape (K,). `delivered` is finish_s <= deadline_s (1 + 1e-9):
    the optimum finishes exactly at the deadline and rounding must drop nobody. `round_s` is when the server could
    go on; `trace` lists (time_s, client, event) in order of time.
    """

    download_s: Array
    compute_s: Array
    upload_s: Array
    finish_s: Array
    delivered: NDArray[np.bool_]
    energy_j: Array
    round_s: float
    trace: tuple[tuple[float, int, str], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class StepMetrics:
    """What one training round cost and achieved: `loss` is the clients' mean training loss, the rest has shape (K,)."""

    loss: float | None
    uplink_bits: Array
    downlink_bits: Array
    flops: Array


@dataclass(frozen=True, kw_only=True)
class RoundRecord:
    """One line of `rounds.jsonl`: plain numbers; per-client values are lists of length K; simulated seconds only.

    `latency_s` is when each client finished, `delivered` whether that was within the deadline. `accuracy` is null
    in rounds without an evaluation, `loss` in runs without training.
    """

    round: int
    clock_s: float
    round_s: float
    loss: float | None
    accuracy: float | None
    bandwidth_fraction: list[float]
    pruning_ratio: list[float]
    latency_s: list[float]
    delivered: list[bool]
    uplink_bits: list[float]
    downlink_bits: list[float]
    flops: list[float]
    energy_j: list[float]

    def as_dict(self) -> dict[str, Any]:
        """The record's fields in their fixed order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
