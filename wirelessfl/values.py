"""The values that flow through one round: frozen, keyword-only, SI units, arrays of shape (K,)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.arrays import PER_CLIENT, Array, PerClient
from wirelessfl.scenario.scenario import Scenario

__all__ = [
    "ON_TIME",
    "PER_CLIENT",
    "Array",
    "Backlog",
    "ChannelState",
    "Delivery",
    "Demand",
    "PerClient",
    "RoundRecord",
    "RoundTiming",
    "Scenario",
    "StepMetrics",
]


# Largest latency over deadline that is on time: an optimum finishes exactly at the deadline.
ON_TIME = 1.0 + 1e-9


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelState:
    """Linear power gain of every client in one round, shape (K,); `believed_gain` is what the
    server knows of it.

    `path_gain` is the part of it without small-scale fading, which open-loop power control follows
    (the believed gain when not given). `block_gain(b)` gives the gain (K,) in coherence block b =
    0, 1, ... of the round, a pure function with block_gain(0) equal to `gain`; without it the gain
    holds for the whole round. `participants` is the number of clients among which the band of the
    round is divided, all K when not given; channel models leave it out.
    """

    gain: Array
    believed_gain: Array
    path_gain: Array | None = None
    participants: int | None = None
    block_gain: Callable[[int], Array] | None = None

    @classmethod
    def perfect_csi(cls, gain: Array) -> "ChannelState":
        """A state that the server knows exactly."""
        return cls(gain=gain, believed_gain=gain)


@dataclass(frozen=True, kw_only=True, eq=False)
class Demand:
    """Demand of the training on the network in one round; every field has shape (K,).

    An *update* is one weight updated once: a client's cycles are the scenario's `cycles_per_weight`
    times its updates. The prunable parts shrink with (1 - pruning_ratio), the fixed parts do not.
    Download bits are 0 unless given.
    """

    fixed_updates: Array
    prunable_updates: Array
    fixed_upload_bits: Array
    prunable_upload_bits: Array
    fixed_download_bits: Array = field(default_factory=lambda: np.zeros(()))
    prunable_download_bits: Array = field(default_factory=lambda: np.zeros(()))

    def __post_init__(self) -> None:
        for name in ("fixed_download_bits", "prunable_download_bits"):
            object.__setattr__(
                self, name, np.broadcast_to(getattr(self, name), self.fixed_updates.shape)
            )

    def restricted_to(self, here: NDArray[np.bool_]) -> "Demand":
        """The demand of the clients that are `here` (K,); of the others nothing."""
        return Demand(
            **{field.name: np.where(here, getattr(self, field.name), 0.0) for field in fields(self)}
        )

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
class Backlog:
    """Work and bits that late clients owe at the start of a round; shape (K,).

    It is empty except under `late-next-round`.

    `pending` is true for clients whose last update is in transit; such a client first does its open
    `updates` (weight updates not yet computed) and sends its open `upload_bits`, then turns to the
    new round. A client has at most one update pending: when a round ends before it got through, the
    newer update takes its place.
    """

    pending: NDArray[np.bool_]
    updates: Array
    upload_bits: Array

    @classmethod
    def none(cls, clients: int) -> "Backlog":
        """An empty backlog."""
        return cls(
            pending=np.zeros(clients, dtype=np.bool_),
            updates=np.zeros(clients),
            upload_bits=np.zeros(clients),
        )

    def pack(self) -> dict[str, NDArray[Any]]:
        """Its fields as arrays of a checkpoint."""
        return {f"__backlog_{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def unpack(cls, arrays: dict[str, NDArray[Any]], clients: int) -> "Backlog":
        """Take out of `arrays` what `pack` put there; nothing is owed where nothing is found."""
        names = [field.name for field in fields(cls)]
        found = {
            name: arrays.pop(f"__backlog_{name}") for name in names if f"__backlog_{name}" in arrays
        }
        return cls(**found) if len(found) == len(names) else cls.none(clients)

    def restricted_to(self, here: NDArray[np.bool_]) -> "Backlog":
        """The backlog of the clients that are `here` (K,)."""
        return self.where(Backlog.none(len(here)), here)

    def where(self, other: "Backlog", here: NDArray[np.bool_]) -> "Backlog":
        """This backlog for the clients that are `here` (K,), `other` for the rest."""
        pairs = {
            field.name: (getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
        }
        return Backlog(
            **{name: np.where(here, mine, others) for name, (mine, others) in pairs.items()}
        )

    def added_to(self, demand: Demand) -> Demand:
        """The demand as planned: open work and bits are fixed, whatever is pruned."""
        return replace(
            demand,
            fixed_updates=demand.fixed_updates + self.updates,
            fixed_upload_bits=demand.fixed_upload_bits + self.upload_bits,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Delivery:
    """Updates that the aggregation of a round may use; every field has shape (K,), bool.

    Attributes:
        participates: The client takes part in the round and trains.
        on_time: Its update of this round arrives within the deadline.
        late: Its update of this round is still being sent and joins a later round.
        arrived_late: A pending update of an earlier round has arrived and joins this round.
    """

    participates: NDArray[np.bool_]
    on_time: NDArray[np.bool_]
    late: NDArray[np.bool_]
    arrived_late: NDArray[np.bool_]

    @classmethod
    def of(cls, on_time: ArrayLike) -> "Delivery":
        """All clients take part; updates of the clients in `on_time` (K,) arrive, none is late."""
        on_time = np.asarray(on_time, dtype=np.bool_)
        nothing = np.zeros_like(on_time)
        return cls(
            participates=np.ones_like(on_time), on_time=on_time, late=nothing, arrived_late=nothing
        )

    @classmethod
    def all(cls, clients: int) -> "Delivery":
        """The updates of all clients arrive on time."""
        return cls.of(np.ones(clients, dtype=np.bool_))


@dataclass(frozen=True, kw_only=True, eq=False)
class RoundTiming:
    """Transmissions of one round.

    Seconds since the start of the round and joules, shape (K,). `delivered` is finish_s <=
    deadline_s (1 + 1e-9): the optimum finishes exactly at the deadline and rounding must drop
    no client. `finish_s` is inf for a client that is `lost`: it dropped out or gave up. `earlier`
    is true where a pending update of an earlier round arrived in time, `backlog` is the rest owed
    after this round (both only under `late-next-round`). `energy_j`, `retransmissions` (blocks
    that were sent again) and `band_utilisation` (the share of band x time on which a client sent) count up to
    `round_s`: no client spends more than (P + kappa f^3) round_s.
    `round_s` is when the server could go on; `trace` lists (time_s, client, event) in order of
    time.
    """

    download_s: Array
    compute_s: Array
    upload_s: Array
    finish_s: Array
    delivered: NDArray[np.bool_]
    energy_j: Array
    round_s: float
    trace: tuple[tuple[float, int, str], ...]
    lost: NDArray[np.bool_]
    earlier: NDArray[np.bool_]
    retransmissions: NDArray[np.int64]
    band_utilisation: float
    backlog: Backlog


@dataclass(frozen=True, kw_only=True, eq=False)
class StepMetrics:
    """Costs and results of one training round: `loss` is the clients' mean training loss, the
    rest has shape (K,).

    `extra` holds a method's own quantities by name, one number each.
    """

    loss: float | None
    uplink_bits: Array
    downlink_bits: Array
    flops: Array
    extra: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RoundRecord:
    """One line of `rounds.jsonl`: plain numbers; per-client values are lists; simulated seconds
    only.

    The lists stand for the `clients` that took part, by number. `latency_s` is when each client
    finished (null: never, because its update was `lost` or had no rate in this round), `planned_s`
    when it would have finished had the channel been what the server believed, `delivered` whether
    it finished within the deadline, `earlier` whether its late update of an earlier round joined
    this one. `accuracy` is null in rounds without an evaluation, `loss` in runs without training,
    `energy_j` where an upload never ends; `extra` holds the method's own quantities, null where one
    is not finite.
    """

    round: int
    clock_s: float
    round_s: float
    loss: float | None
    accuracy: float | None
    clients: list[int]
    bandwidth_fraction: list[float]
    pruning_ratio: list[float]
    gain: list[float]
    believed_gain: list[float]
    planned_s: list[float | None]
    latency_s: list[float | None]
    delivered: list[bool]
    lost: list[bool]
    earlier: list[bool]
    retransmissions: list[int]
    band_utilisation: float
    uplink_bits: list[float]
    downlink_bits: list[float]
    flops: list[float]
    energy_j: list[float | None]
    extra: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The record's fields in their fixed order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
