"""Training states: read-only arrays that are carried between rounds and packed for checkpoints."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from training.arrays import Floats


class State(Protocol):
    """State of a trainer between two rounds; its arrays are read-only."""

    def pack(self) -> dict[str, NDArray[Any]]:
        """The complete state as plain arrays, for a checkpoint."""
        ...

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """A packed state of the same shapes as this one.

        Args:
            arrays: Arrays that `pack` returned.

        Returns:
            The state that was packed.

        Raises:
            InputError: If an array is missing or has another shape than in this state.
        """
        ...


S = TypeVar("S", bound=State)
A = TypeVar("A", bound=np.generic)


class StateTrainer(ABC, Generic[S]):
    """Trainer whose state packs itself: the common part of `wirelessfl.protocols.Trainer`s."""

    @property
    def samples(self) -> list[int] | None:
        """Numbers of training samples of the clients, None where a trainer does not tell them."""
        pool = getattr(self, "_pool", None)
        return None if pool is None else list(pool.samples)

    @abstractmethod
    def init(self, seed: int) -> S:
        """The state before the first round.

        Args:
            seed: Seed of the run, at least 0.

        Returns:
            A state of the shapes that all states of the run have.
        """

    @abstractmethod
    def model(self, state: S, client: int | None = None) -> Floats:
        """The model by which a client is evaluated.

        Args:
            state: State after any round.
            client: Index of the client; None for the global model.

        Returns:
            Flat model, (size,); it may be shared by calls and must not be edited.

        Raises:
            InputError: If there is no such client, or no global model.
        """

    def pack(self, state: S) -> dict[str, NDArray[Any]]:
        """The state as plain arrays.

        Args:
            state: State after any round.

        Returns:
            Arrays by name, for a checkpoint.
        """
        return state.pack()

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> S:
        """The state in a checkpoint.

        Args:
            arrays: Arrays that `pack` returned.

        Returns:
            The state that was packed.

        Raises:
            InputError: If the arrays are those of another model or number of clients.
        """
        return self.init(0).unpack(arrays)


def read_only(array: NDArray[A]) -> NDArray[A]:
    """A view of an array that cannot be written to.

    Args:
        array: Array of any shape; it stays writable itself.

    Returns:
        View of the same shape on the same memory.
    """
    view = array.view()
    view.flags.writeable = False
    return view


def read_only_arrays(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Read-only views of named arrays.

    Args:
        arrays: Arrays of any shapes, by name.

    Returns:
        Their views under the same names.
    """
    return {name: read_only(array) for name, array in arrays.items()}
