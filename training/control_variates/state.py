"""What a method with control variates carries from round to round."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.arrays import check_shapes
from training.control_variates.method import Floats


@dataclass(frozen=True, eq=False)
class ControlVariateState:
    """The last communicated model and the control variates; never edited.

    `shared` (size,) is w_bar with the shared buffers behind it, dense whatever the sparsity;
    `control` (K, d) the h_i of all clients; `sent` (K,) how many weights of each client's last
    upload were not 0, d before the first.
    """

    seed: int
    round: int
    shared: Floats
    control: Floats
    sent: NDArray[np.int64]

    @classmethod
    def of(
        cls, seed: int, round: int, shared: Floats, control: Floats, sent: NDArray[np.int64]
    ) -> "ControlVariateState":
        """A state of its own copies, which nobody can write to."""
        shared, control, sent = shared.copy(), control.copy(), sent.copy()
        shared.flags.writeable = control.flags.writeable = sent.flags.writeable = False
        return cls(seed, round, shared, control, sent)

    def pack(self) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        return {
            "seed": np.asarray(self.seed, dtype=np.int64),
            "round": np.asarray(self.round, dtype=np.int64),
            "shared": self.shared,
            "control": self.control,
            "sent": self.sent,
        }

    @classmethod
    def unpack(
        cls, arrays: Mapping[str, NDArray[Any]], like: "ControlVariateState"
    ) -> "ControlVariateState":
        """The state that `pack` gave; `InputError` for arrays of other shapes than those of `like`."""
        check_shapes(arrays, {name: array.shape for name, array in like.pack().items()})
        dtype = like.shared.dtype
        return cls.of(
            int(arrays["seed"]),
            int(arrays["round"]),
            arrays["shared"].astype(dtype),
            arrays["control"].astype(dtype),
            arrays["sent"].astype(np.int64),
        )
