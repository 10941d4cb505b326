"""Course of a run so far, for allocators with memory and for weights by age."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wirelessfl.allocation.course import Course
from wirelessfl.arrays import Array

_Among: TypeAlias = tuple[Course, NDArray[np.int64], Array]


@dataclass(frozen=True, kw_only=True, eq=False)
class History:
    """Deliveries and energy of the R rounds before a round, and the energy of the round itself.

    Attributes:
        kept: Kept fraction of the update that a client delivered in each round, 0 where it
            delivered none; (R, K).
        energy_j: Energy that a client spent in each round in J; (R, K).
        power_w: Transmit power in the coming round in W; (K,).
        fixed_j: Energy in J of the coming round's work that pruning does not save; (K,).
        prunable_j: Energy in J of the coming round's unpruned work that pruning saves; (K,).
        samples: Number of training samples of each client; (K,); None where it is not known.
        among: Rounds of all clients, the clients of this history among them, and `kept` to which
            they belong; None: of a history that is made of arrays.
    """

    kept: Array
    energy_j: Array
    power_w: Array = field(default_factory=lambda: np.zeros(()))
    fixed_j: Array = field(default_factory=lambda: np.zeros(()))
    prunable_j: Array = field(default_factory=lambda: np.zeros(()))
    samples: Array | None = None
    among: _Among | None = field(default=None, repr=False)

    @classmethod
    def none(cls, clients: int, samples: Array | None = None) -> "History":
        """History before the first round.

        Args:
            clients: Number K of clients.
            samples: Numbers of training samples; (K,); None where they are not known.

        Returns:
            The history of no round.
        """
        return cls(kept=np.zeros((0, clients)), energy_j=np.zeros((0, clients)), samples=samples)

    @property
    def rounds(self) -> int:
        """Number R of rounds so far."""
        return int(self.kept.shape[0])

    @property
    def age(self) -> NDArray[np.int64]:
        """Rounds since the last one in which a client delivered, at most R; (K,)."""
        course, clients = self._course
        return course.age[clients]

    @property
    def kept_sum(self) -> Array:
        """Sum of the kept fractions over the rounds so far; (K,)."""
        course, clients = self._course
        return course.kept_sum[clients]

    def queue_j(self, budget_j: Array | float) -> Array:
        """Virtual queue of energy: Q <- max(Q + e - budget, 0) from round to round, from 0.

        Args:
            budget_j: Energy per round in J; a number or (K,); inf is no budget.

        Returns:
            The queues in J; (K,).
        """
        course, clients = self._course
        budget_j = np.broadcast_to(np.asarray(budget_j, dtype=np.float64), clients.shape)
        return course.queue_j(budget_j, clients)

    def after(self, kept: Array, energy_j: Array) -> "History":
        """History after one more round.

        Args:
            kept: Kept fractions of the delivered updates, 0 where none was; (K,).
            energy_j: Energy spent in J; (K,).

        Returns:
            The history.
        """
        course = self._course[0]
        if course.kept is not self.kept:  # of some of its clients
            course = Course(self.kept, self.energy_j)
        grown = course.after(kept, energy_j)
        return replace(
            self,
            kept=grown.kept,
            energy_j=grown.energy_j,
            among=(grown, np.arange(kept.size), grown.kept),
        )

    @property
    def _course(self) -> tuple[Course, NDArray[np.int64]]:
        """Rounds with sums over them, and the clients of this history among theirs."""
        if self.among is None or self.among[2] is not self.kept:
            course = Course(self.kept, self.energy_j)
            self.__dict__["among"] = course, np.arange(self.kept.shape[1]), self.kept
            return course, self.__dict__["among"][1]
        return self.among[:2]

    def of(self, clients: NDArray[np.bool_]) -> "History":
        """History of some clients alone.

        Args:
            clients: Mask of the clients; (K,).

        Returns:
            Their history.
        """
        course, index = self._course
        values: Any = {
            one.name: np.broadcast_to(value, (*value.shape[:-1], clients.size))[..., clients]
            for one in fields(self)
            if one.name != "among" and (value := getattr(self, one.name)) is not None
        }
        return History(**values, among=(course, index[clients], values["kept"]))

    def pack(self) -> dict[str, NDArray[Any]]:
        """Arrays of a checkpoint: what was delivered and spent."""
        return {f"__history_{name}": getattr(self, name) for name in _PACKED}

    def resumed(self, arrays: dict[str, NDArray[Any]]) -> "History":
        """History with the rounds of a checkpoint.

        Args:
            arrays: Arrays of the checkpoint by name; those of `pack` are removed.

        Returns:
            The history; unchanged where the checkpoint holds none.
        """
        names = {name: f"__history_{name}" for name in _PACKED}
        if not all(key in arrays for key in names.values()):
            return self
        found: Any = {name: arrays.pop(key) for name, key in names.items()}
        return replace(self, **found)


_PACKED = ("kept", "energy_j")
