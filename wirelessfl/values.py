"""Values that flow through one round: frozen, keyword-only, SI units, arrays of shape (K,)."""

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
    "MeanScore",
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
    """Channel of every client in one round.

    Attributes:
        gain: Linear power gain; (K,).
        believed_gain: Linear power gain that the server plans with; (K,).
        path_gain: Linear power gain without small-scale fading, which open-loop power control
            follows; (K,). None: the believed gain.
        participants: Number of clients among which the band of the round is divided; None: all K.
            Channel models leave it at None.
        block_gain: Pure function from coherence block b = 0, 1, ... of the round to its gain (K,),
            with block_gain(0) equal to `gain`; None: the gain is constant within the round.
    """

    gain: Array
    believed_gain: Array
    path_gain: Array | None = None
    participants: int | None = None
    block_gain: Callable[[int], Array] | None = None

    @classmethod
    def perfect_csi(cls, gain: Array) -> "ChannelState":
        """State with perfect channel state information: the believed gain is the actual one.

        Args:
            gain: Linear power gain; (K,).

        Returns:
            The state.
        """
        return cls(gain=gain, believed_gain=gain)


@dataclass(frozen=True, kw_only=True, eq=False)
class Demand:
    """Computation and communication that training demands of the network in one round.

    An *update* is one weight updated once: a client's cycles are the scenario's `cycles_per_weight`
    times its updates. The prunable parts shrink with (1 - pruning_ratio), the fixed parts do not.

    Attributes:
        fixed_updates: Weight updates that pruning does not save; (K,).
        prunable_updates: Weight updates of the unpruned model that pruning saves; (K,).
        fixed_upload_bits: Bits of the upload that pruning does not save; (K,).
        prunable_upload_bits: Bits of the unpruned upload that pruning saves; (K,).
        fixed_download_bits: Bits of the download that pruning does not save; (K,); 0 unless given.
        prunable_download_bits: Bits of the unpruned download that pruning saves; (K,); 0 unless
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
            object.__setattr__(
                self, name, np.broadcast_to(getattr(self, name), self.fixed_updates.shape)
            )

    def restricted_to(self, participates: NDArray[np.bool_]) -> "Demand":
        """Demand of the participants alone.

        Args:
            participates: Mask of the participating clients; (K,).

        Returns:
            The demand, 0 for all other clients.
        """
        return Demand(
            **{
                field.name: np.where(participates, getattr(self, field.name), 0.0)
                for field in fields(self)
            }
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
        """Identical demand of all clients.

        Args:
            clients: Number K of clients.
            fixed_updates: Weight updates that pruning does not save.
            prunable_updates: Weight updates that pruning saves.
            fixed_upload_bits: Bits of the upload that pruning does not save.
            prunable_upload_bits: Bits of the upload that pruning saves.
            fixed_download_bits: Bits of the download that pruning does not save.
            prunable_download_bits: Bits of the download that pruning saves.

        Returns:
            The demand; (K,).
        """
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
    """Open work of late clients at the start of a round under `late-next-round`.

    A client with a pending update first does its open work and sends its open bits, then turns to
    the new round. It has at most one update pending: when a round ends before that one has arrived,
    the newer update replaces it.

    Attributes:
        pending: True where an update of an earlier round has not arrived yet; (K,).
        updates: Weight updates of it not yet computed; (K,).
        upload_bits: Bits of it not yet sent; (K,).
    """

    pending: NDArray[np.bool_]
    updates: Array
    upload_bits: Array

    @classmethod
    def none(cls, clients: int) -> "Backlog":
        """Empty backlog.

        Args:
            clients: Number K of clients.

        Returns:
            The backlog, 0 for all clients.
        """
        return cls(
            pending=np.zeros(clients, dtype=np.bool_),
            updates=np.zeros(clients),
            upload_bits=np.zeros(clients),
        )

    def pack(self) -> dict[str, NDArray[Any]]:
        """Arrays of a checkpoint, one per field."""
        return {f"__backlog_{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def unpack(cls, arrays: dict[str, NDArray[Any]], clients: int) -> "Backlog":
        """Take the arrays of `pack` out of a checkpoint.

        Args:
            arrays: Arrays of the checkpoint by name; those of the backlog are removed.
            clients: Number K of clients.

        Returns:
            The backlog; an empty one where the checkpoint holds none.
        """
        names = [field.name for field in fields(cls)]
        found = {
            name: arrays.pop(f"__backlog_{name}") for name in names if f"__backlog_{name}" in arrays
        }
        return cls(**found) if len(found) == len(names) else cls.none(clients)

    def restricted_to(self, participates: NDArray[np.bool_]) -> "Backlog":
        """Backlog of the participants alone.

        Args:
            participates: Mask of the participating clients; (K,).

        Returns:
            The backlog, empty for all other clients.
        """
        return self.where(Backlog.none(len(participates)), participates)

    def where(self, other: "Backlog", mask: NDArray[np.bool_]) -> "Backlog":
        """Combination of two backlogs, client by client.

        Args:
            other: Backlog of the clients outside the mask.
            mask: Clients whose backlog is this one; (K,).

        Returns:
            The combined backlog; (K,).
        """
        pairs = {
            field.name: (getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
        }
        return Backlog(
            **{name: np.where(mask, own, others) for name, (own, others) in pairs.items()}
        )

    def added_to(self, demand: Demand) -> Demand:
        """Demand that the server plans a round with.

        The open work and bits count as fixed: no pruning ratio of the new round shortens them.

        Args:
            demand: Demand of the new round; (K,).

        Returns:
            The demand with the backlog added.
        """
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
        """Delivery of a round in which all clients take part and no update is late.

        Args:
            on_time: Clients whose update arrives within the deadline; (K,).

        Returns:
            The delivery; (K,).
        """
        on_time = np.asarray(on_time, dtype=np.bool_)
        none = np.zeros_like(on_time)
        return cls(
            participates=np.ones_like(on_time), on_time=on_time, late=none, arrived_late=none
        )

    @classmethod
    def all(cls, clients: int) -> "Delivery":
        """Delivery of a round in which the updates of all clients arrive on time.

        Args:
            clients: Number K of clients.

        Returns:
            The delivery; (K,).
        """
        return cls.of(np.ones(clients, dtype=np.bool_))


@dataclass(frozen=True, kw_only=True, eq=False)
class RoundTiming:
    """Time, energy and losses of one round of the cell, per client (K,).

    Seconds are counted from the start of the round. Energy, retransmissions and utilisation count
    up to `round_s`: no client spends more than (P + kappa f^3) round_s.

    Attributes:
        download_s: Time of the download in s; (K,).
        compute_s: Time of the computation in s; (K,).
        upload_s: Time of the upload in s; (K,).
        finish_s: Moment in s at which the client finishes; inf for a lost client; (K,).
        delivered: finish_s <= deadline_s (1 + 1e-9): the optimum finishes exactly at the deadline,
            and rounding must not drop a client; (K,).
        energy_j: Energy of computation and transmission in J; (K,).
        round_s: Moment in s at which the server can go on.
        trace: Events (time_s, client, event) in order of time.
        lost: True where the client dropped out or gave up; (K,).
        earlier: True where the pending update of an earlier round arrived in time; only under
            `late-next-round`; (K,).
        retransmissions: Number of packets that were sent again; (K,).
        band_utilisation: Fraction of band x time in which clients transmit; from 0 to 1.
        backlog: Open work after this round; only under `late-next-round`, otherwise empty.
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
    """Cost and loss of one training round.

    Attributes:
        loss: Mean over clients of the training loss; None without training.
        uplink_bits: Bits that each client sent; (K,).
        downlink_bits: Bits that each client received; (K,).
        flops: Floating-point operations of each client's training; (K,).
        extra: Quantities of the method by name, one number each.
    """

    loss: float | None
    uplink_bits: Array
    downlink_bits: Array
    flops: Array
    extra: Mapping[str, float] = field(default_factory=dict)


class MeanScore(float):
    """Mean test accuracy of an evaluation, with the accuracies that it is the mean of.

    Args:
        mean: The mean, which is the value of the number.
        clients: Accuracy of each client; (K,).

    Attributes:
        clients: Accuracy of each client; (K,).
    """

    clients: Array

    def __new__(cls, mean: float, clients: Array) -> "MeanScore":
        """A number with the attribute `clients`."""
        score = super().__new__(cls, mean)
        score.clients = clients
        return score


@dataclass(frozen=True, kw_only=True)
class RoundRecord:
    """One line of `rounds.jsonl`: plain numbers, lists of per-client values, simulated seconds.

    Each list has one entry for each participant, in the order of `clients`.

    Attributes:
        round: Number of the round, from 1.
        clock_s: Simulated time at the end of the round in s.
        round_s: Duration of the round in s.
        loss: Mean training loss; null in runs without training.
        accuracy: Mean test accuracy in [0, 1]; null in rounds without an evaluation.
        clients: Numbers of the clients that took part, from 0.
        bandwidth_fraction: Allocated fractions of the band.
        pruning_ratio: Allocated pruning ratios.
        gain: Linear power gains.
        believed_gain: Linear power gains that the server planned with.
        planned_s: Moments in s at which the clients would have finished had the channel been the
            one that the server believed in; null: never.
        latency_s: Moments in s at which the clients finished; null: never, because the update was
            lost or had no rate in this round.
        delivered: True where the client finished within the deadline.
        lost: True where the client dropped out or gave up.
        earlier: True where the late update of an earlier round joined this one.
        retransmissions: Numbers of packets that were sent again.
        band_utilisation: Fraction of band x time in which clients transmit.
        uplink_bits: Bits sent.
        downlink_bits: Bits received.
        flops: Floating-point operations of the training.
        energy_j: Energies in J; null where an upload never ends.
        extra: Quantities of the method by name; null where one is not finite.
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
        """Fields of the record in their fixed order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
