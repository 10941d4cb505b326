"""What server-based training carries from round to round, and its form on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arrays import Mask, Vector, check_shapes
from training.structure.layout import Layout
from wirelessfl.values import Delivery

Upload = tuple[Vector, Mask]


@dataclass(frozen=True, eq=False)
class ServerState:
    """Everything a run carries from round to round, float32; never edited.

    `shared` (upload_size,) is the shared part u with the shared buffers behind it, `personal` (K,
    N_v + personal buffers) what stays with the clients: 4 bytes a number and client, nothing at all
    for a method without a personal part. `late` holds the uploads that are still on their way, by
    client: shared numbers and mask, (upload_size,) each.
    """

    seed: int
    round: int
    shared: Vector
    personal: NDArray[np.float32]
    late: Mapping[int, Upload] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        seed: int,
        round: int,
        shared: Vector,
        personal: NDArray[np.float32],
        late: Mapping[int, Upload] = MappingProxyType({}),
    ) -> "ServerState":
        """A state of its own copies, which nobody can write to."""
        shared, personal = shared.copy(), personal.copy()
        shared.flags.writeable = personal.flags.writeable = False
        return cls(seed, round, shared, personal, late)

    def client_vector(self, client: int, layout: Layout) -> Vector:
        """The whole model of one client, (size,): [v_k | u | shared buffers | personal buffers of
        k].

        Where nothing is personal it is the same array for all clients, which nobody may write to.
        """
        if not self.personal.size:
            return self._one_model
        mine = self.personal[client]
        return np.concatenate([mine[layout.personal], self.shared, mine[layout.personal_size :]])

    def still_late(self, delivery: Delivery) -> dict[int, Upload]:
        """The uploads that stay on their way: they do not arrive, and no newer one takes their
        place.
        """
        return {
            k: upload
            for k, upload in self.late.items()
            if not delivery.arrived_late[k] and not delivery.on_time[k]
        }

    @cached_property
    def _one_model(self) -> Vector:
        return self.shared.copy()  # torch warns of arrays that are read-only

    def pack(self) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        on_the_way = sorted(self.late)
        return {
            "seed": np.asarray(self.seed, dtype=np.int64),
            "round": np.asarray(self.round, dtype=np.int64),
            "shared": self.shared,
            "personal": self.personal,
            "late_clients": np.array(on_the_way, dtype=np.int64),
            "late_shared": self._stack([self.late[k][0] for k in on_the_way], np.float32),
            "late_masks": self._stack([self.late[k][1] for k in on_the_way], np.bool_),
        }

    @classmethod
    def unpack(
        cls, arrays: Mapping[str, NDArray[Any]], clients: int, layout: Layout
    ) -> "ServerState":
        """The state that `pack` gave; `InputError` for arrays of another model or number of
        clients.
        """
        late = np.shape(arrays.get("late_clients", ()))[:1]
        expected = {
            "seed": (),
            "round": (),
            "shared": (layout.upload_size,),
            "personal": (clients, layout.size - layout.upload_size),
            "late_clients": late,
            "late_shared": (*late, layout.upload_size),
            "late_masks": (*late, layout.upload_size),
        }
        check_shapes(arrays, expected)
        on_the_way = {
            int(client): (vector, mask)
            for client, vector, mask in zip(
                arrays["late_clients"], arrays["late_shared"], arrays["late_masks"], strict=True
            )
        }
        return cls.of(
            int(arrays["seed"]),
            int(arrays["round"]),
            arrays["shared"],
            arrays["personal"],
            on_the_way,
        )

    def _stack(self, rows: list[Any], dtype: Any) -> NDArray[Any]:
        return np.array(rows, dtype=dtype).reshape(len(rows), len(self.shared))
