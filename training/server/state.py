"""State of server-based training, and its form on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arrays import Mask, Vector, check_shapes
from training.engine.optimizer import Moments, Optimizer
from training.state import read_only
from training.structure.layout import Layout, Part
from wirelessfl.values import Delivery

Upload = tuple[Vector, Mask]
PARTS: tuple[Part, ...] = ("personal", "shared", "all")


@dataclass(frozen=True, eq=False)
class KeptMoments:
    """States of the clients' optimisers between rounds.

    Attributes:
        moments: Momentum of SGD, or Adam's means of gradients and of squared gradients, of each
            client; (K, 1 or 2, N) float32.
        steps: Steps of each client so far by trained part, in the order of `PARTS`; (K, 3).
    """

    moments: NDArray[np.float32]
    steps: NDArray[np.int64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "moments", read_only(self.moments))
        object.__setattr__(self, "steps", read_only(self.steps))

    @classmethod
    def initial(cls, optimizer: Optimizer, clients: int, parameters: int) -> "KeptMoments":
        """The states before the first round.

        Args:
            optimizer: Optimiser that keeps its state.
            clients: Number of clients K.
            parameters: Number N of weights.

        Returns:
            States of 0.
        """
        shape = (clients, 2 if optimizer.adaptive else 1, parameters)
        steps = np.zeros((clients, len(PARTS)), dtype=np.int64)
        return cls(np.zeros(shape, dtype=np.float32), steps)

    def of(self, client: int) -> Moments:
        """The state of a client's optimiser, in arrays of its own.

        Args:
            client: Index of the client.

        Returns:
            The state.
        """
        first, *second = self.moments[client].copy()
        counts = zip(PARTS, self.steps[client].tolist(), strict=True)
        steps = {part: count for part, count in counts if count}
        return Moments(first=first, second=second[0] if second else None, steps=steps)

    def after(self, trained: Mapping[int, Moments]) -> "KeptMoments":
        """The states after a round.

        Args:
            trained: New states of the clients that trained.

        Returns:
            All states.
        """
        moments, steps = self.moments.copy(), self.steps.copy()
        for client, state in trained.items():
            moments[client, 0] = state.first
            if state.second is not None:
                moments[client, 1] = state.second
            steps[client] = [state.steps.get(part, 0) for part in PARTS]
        return KeptMoments(moments, steps)


@dataclass(frozen=True, eq=False)
class ServerState:
    """Global model, personal parts and uploads in transit, all float32 and read-only.

    Attributes:
        seed: Seed of the run.
        round: Rounds done.
        shared: Shared part u followed by the shared buffers, (upload_size,).
        personal: Personal weights and buffers of each client, (K, N_v + personal buffers); of
            width 0 in a method without a personal part.
        late: Uploads in transit by client: shared values and mask, (upload_size,) each.
        kept: States of the clients' optimisers; None where they begin at 0 in every round.
    """

    seed: int
    round: int
    shared: Vector
    personal: NDArray[np.float32]
    late: Mapping[int, Upload] = field(default_factory=dict)
    kept: KeptMoments | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shared", read_only(self.shared))
        object.__setattr__(self, "personal", read_only(self.personal))
        late = {
            client: (read_only(vector), read_only(mask))
            for client, (vector, mask) in self.late.items()
        }
        object.__setattr__(self, "late", late)

    @classmethod
    def without_personal(cls, seed: int, vector: Vector, clients: int) -> "ServerState":
        """The state before the first round of a method that shares the whole model.

        Args:
            seed: Seed of the run.
            vector: Global model, (size,).
            clients: Number of clients K.

        Returns:
            A state whose personal part is (K, 0).
        """
        return cls(seed, 0, vector, np.zeros((clients, 0), dtype=np.float32))

    def client_vector(self, client: int, layout: Layout) -> Vector:
        """The whole model of one client: [v_k | u | shared buffers | personal buffers of k].

        Args:
            client: Index of the client.
            layout: Layout of the model.

        Returns:
            Flat model, (size,); where nothing is personal the same array for all clients, which
            must not be edited.
        """
        if not self.personal.size:
            return self._one_model
        mine = self.personal[client]
        return np.concatenate([mine[layout.personal], self.shared, mine[layout.personal_size :]])

    def still_late(self, delivery: Delivery) -> dict[int, Upload]:
        """Uploads that remain in transit after a round.

        Args:
            delivery: Outcome of the round.

        Returns:
            Uploads by client that have neither arrived nor been replaced by a newer one.
        """
        return {
            client: upload
            for client, upload in self.late.items()
            if not delivery.arrived_late[client] and not delivery.on_time[client]
        }

    @cached_property
    def _one_model(self) -> Vector:
        return self.shared.copy()  # torch warns of read-only arrays

    def pack(self) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        in_transit = sorted(self.late)
        return {
            "seed": np.asarray(self.seed, dtype=np.int64),
            "round": np.asarray(self.round, dtype=np.int64),
            "shared": self.shared,
            "personal": self.personal,
            "late_clients": np.array(in_transit, dtype=np.int64),
            "late_shared": self._stack([self.late[k][0] for k in in_transit], np.float32),
            "late_masks": self._stack([self.late[k][1] for k in in_transit], np.bool_),
            **({} if self.kept is None else self._packed_moments(self.kept)),
        }

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> "ServerState":
        """A packed state of the same shapes as this one.

        Args:
            arrays: Arrays that `pack` returned.

        Returns:
            The state that was packed.

        Raises:
            InputError: If the arrays are those of another model or number of clients.
        """
        late = np.shape(arrays.get("late_clients", ()))[:1]
        expected = {
            "seed": (),
            "round": (),
            "shared": self.shared.shape,
            "personal": self.personal.shape,
            "late_clients": late,
            "late_shared": (*late, self.shared.size),
            "late_masks": (*late, self.shared.size),
        }
        kept = {} if self.kept is None else self._packed_moments(self.kept)
        expected |= {name: array.shape for name, array in kept.items()}
        check_shapes(arrays, expected)
        in_transit = {
            int(client): (vector, mask)
            for client, vector, mask in zip(
                arrays["late_clients"], arrays["late_shared"], arrays["late_masks"], strict=True
            )
        }
        return ServerState(
            int(arrays["seed"]),
            int(arrays["round"]),
            arrays["shared"].copy(),
            arrays["personal"].copy(),
            in_transit,
            KeptMoments(*(arrays[name].copy() for name in kept)) if kept else None,
        )

    @staticmethod
    def _packed_moments(kept: KeptMoments) -> dict[str, NDArray[Any]]:
        return {"optimizer_moments": kept.moments, "optimizer_steps": kept.steps}

    def _stack(self, rows: list[Any], dtype: Any) -> NDArray[Any]:
        return np.array(rows, dtype=dtype).reshape(len(rows), len(self.shared))
