"""State of training with control variates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arrays import Floats, check_shapes
from training.state import read_only


@dataclass(frozen=True, eq=False)
class ControlVariateState:
    """The last communicated model and the control variates; all arrays are read-only.

    Attributes:
        seed: Seed of the run.
        round: Rounds done.
        shared: Model w_bar followed by the shared buffers, (size,), dense at any sparsity.
        control: Control variates h_i of all clients, (K, d).
        sent: Nonzero weights of the last upload of each client, (K,); d before the first.
    """

    seed: int
    round: int
    shared: Floats
    control: Floats
    sent: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name in ("shared", "control", "sent"):
            object.__setattr__(self, name, read_only(getattr(self, name)))

    def pack(self) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        return {
            "seed": np.asarray(self.seed, dtype=np.int64),
            "round": np.asarray(self.round, dtype=np.int64),
            "shared": self.shared,
            "control": self.control,
            "sent": self.sent,
        }

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> "ControlVariateState":
        """A packed state of the same shapes and precision as this one.

        Args:
            arrays: Arrays that `pack` returned.

        Returns:
            The state that was packed.

        Raises:
            InputError: If the arrays are those of another model or number of clients.
        """
        check_shapes(arrays, {name: array.shape for name, array in self.pack().items()})
        dtype = self.shared.dtype
        return ControlVariateState(
            int(arrays["seed"]),
            int(arrays["round"]),
            arrays["shared"].astype(dtype),
            arrays["control"].astype(dtype),
            arrays["sent"].astype(np.int64),
        )
