"""Estimates of gradient, curvature and movement from the models that clients return."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from training.arrays import Doubles, Mask, Vector, check_shapes
from training.engine.program import LocalResult
from training.state import A, read_only
from training.submodels.places import EVERYTHING, Index
from training.sums import WeightedSum

_EPSILON = 1e-8  # of the secant's denominator: bounds the curvature of a weight that hardly moved
_CLIP_QUANTILE = 0.999
# Values that fit into a core's cache: whole vectors of 15 million take nearly twice as long.
_BLOCK = 65_536

Sum = Literal["gradient", "square", "movement"]


@dataclass(frozen=True, eq=False)
class RunningMean:
    """Running means of values that are observed irregularly: x <- momentum x + (1 - momentum) new.

    The first observation of a value is taken unchanged. The arrays are read-only.

    Attributes:
        value: Means, (..., n).
        known: True where there has been an observation, (..., n).
    """

    value: Vector
    known: Mask

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", read_only(self.value))
        object.__setattr__(self, "known", read_only(self.known))

    @classmethod
    def unknown(cls, *shape: int) -> "RunningMean":
        """Means without any observation.

        Args:
            *shape: Shape of the values.

        Returns:
            Values 0, none of them known.
        """
        return cls(np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.bool_))

    def moved(self, new: NDArray[Any], seen: Mask, momentum: float) -> "RunningMean":
        """The means after further observations.

        Args:
            new: Observations, (..., n).
            seen: True where there is an observation, (..., n).
            momentum: Factor of the old mean, in [0, 1).

        Returns:
            Means that are unchanged where `seen` is False.
        """
        value = np.empty_like(self.value)
        for first in range(0, value.shape[-1], _BLOCK):
            block = np.s_[..., first : first + _BLOCK]
            old, observed = self.value[block], new[block]
            mean = momentum * old + (1.0 - momentum) * observed
            blended = np.where(self.known[block], mean, observed)
            value[block] = np.where(seen[block], blended, old)
        return RunningMean(value, self.known | seen)

    def row(self, index: int, held: Index = EVERYTHING) -> "RunningMean":
        """One row of a table of means.

        Args:
            index: Index of the row.
            held: Positions of the wanted values in the row.

        Returns:
            Means of shape (n,), or of the shape of `held`.
        """
        return RunningMean(_at(self.value[index], held), _at(self.known[index], held))


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates of what the server knows about the loss; read-only arrays.

    There is one row for all clients, or one for each: (rows, n) with n weights, and n = 0 for
    quantities that the score does not use.

    Attributes:
        gradient: Running mean of the gradient g of each weight, (rows, n).
        curvature: Running mean of the diagonal curvature h of each weight, (rows, n).
        movement: |sum_k p_k Delta_k| of the last round in which the filter was held, summed over
            the filter, (rows, filters).
        last_gradient: Gradient of the last observation, for the secant, (rows, n).
        last_vector: Weights at the last observation, for the secant, (rows, n).
    """

    gradient: RunningMean
    curvature: RunningMean
    movement: RunningMean
    last_gradient: Vector
    last_vector: Vector

    def __post_init__(self) -> None:
        object.__setattr__(self, "last_gradient", read_only(self.last_gradient))
        object.__setattr__(self, "last_vector", read_only(self.last_vector))

    @classmethod
    def unknown(
        cls, rows: int, *, gradient: int, curvature: int, movement: int, last: int
    ) -> "Estimates":
        """The estimates before the first round.

        Args:
            rows: 1, or the number of clients K.
            gradient: Values of `gradient` in a row.
            curvature: Values of `curvature` in a row.
            movement: Values of `movement` in a row.
            last: Values of `last_gradient` and `last_vector` in a row.

        Returns:
            Estimates without any observation.
        """
        blank = np.zeros((rows, last), dtype=np.float32)
        return cls(
            RunningMean.unknown(rows, gradient),
            RunningMean.unknown(rows, curvature),
            RunningMean.unknown(rows, movement),
            blank,
            blank,
        )

    def row(self, index: int, held: Index = EVERYTHING) -> "Estimates":
        """The estimates of one row.

        Args:
            index: Index of the row.
            held: Positions of the wanted weights.

        Returns:
            Estimates with arrays (n,), or of the shape of `held`; `movement` is whole.
        """
        return Estimates(
            self.gradient.row(index, held),
            self.curvature.row(index, held),
            self.movement.row(index),
            _at(self.last_gradient[index], held),
            _at(self.last_vector[index], held),
        )

    def with_rows(self, rows: Mapping[int, "Estimates"], held: Index = EVERYTHING) -> "Estimates":
        """A copy with other rows in place of some.

        Args:
            rows: Estimates as `row` returns them, by index of the row.
            held: Positions of the weights of these rows.

        Returns:
            Estimates of the same shape as these.
        """
        arrays = {name: array.copy() for name, array in self.pack().items()}
        for index, row in rows.items():
            for name, array in row.pack().items():
                if array.size:
                    whole = name.startswith("score_movement")
                    arrays[name][index][EVERYTHING if whole else held] = array
        return Estimates._of(arrays)

    def pack(self) -> dict[str, NDArray[Any]]:
        """The estimates as plain arrays."""
        arrays = {
            f"score_{f.name}": getattr(self, f.name)
            for f in fields(self)
            if f.name.startswith("last")
        }
        for name in ("gradient", "curvature", "movement"):
            running: RunningMean = getattr(self, name)
            arrays |= {f"score_{name}": running.value, f"score_{name}_known": running.known}
        return arrays

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> "Estimates":
        """Packed estimates of the same shapes as these.

        Args:
            arrays: Arrays that `pack` returned.

        Returns:
            The estimates that were packed.

        Raises:
            InputError: If the arrays are those of another model, score or number of clients.
        """
        check_shapes(arrays, {name: own.shape for name, own in self.pack().items()})
        return Estimates._of(arrays)

    @classmethod
    def _of(cls, arrays: Mapping[str, NDArray[Any]]) -> "Estimates":
        def running(name: str) -> RunningMean:
            return RunningMean(arrays[f"score_{name}"], arrays[f"score_{name}_known"])

        return cls(
            running("gradient"),
            running("curvature"),
            running("movement"),
            arrays["score_last_gradient"],
            arrays["score_last_vector"],
        )


def _at(row: NDArray[A], held: Index) -> NDArray[A]:
    """Values of a row at positions; empty for a quantity that the score does not use."""
    return row[held] if row.size else row


class RoundStatistics:
    """Sums over the models of one round, from which the estimates learn.

    With Delta_k = w_k - w_t on the weights that client k holds (mask m_k), tau_k steps and the
    effective step eta' = eta / (1 - momentum): g = -sum_k p_k m_k Delta_k / (eta' tau_k) / sum_k
    p_k m_k, and in the same way the mean of (Delta_k / (eta' tau_k))^2 ("fisher"), or of the
    clients' own mean squared gradients where they send them. Sums are computed in float64, in
    blocks that fit into the cache. A client without a step does not count.

    Args:
        start: Weights w_t, (n,).
        effective_rate: Effective step eta', above 0.
        wanted: The sums that are needed.
    """

    def __init__(
        self, start: Vector, effective_rate: float, wanted: Iterable[Sum] = get_args(Sum)
    ) -> None:
        self._start = start
        self._rate = effective_rate
        self._total_weight = 0.0
        self._full_weight = 0.0  # of clients that hold all weights
        self._partial_weight: Doubles | None = None  # of the others
        self._wants_squares = "square" in wanted
        self._squares: WeightedSum | None = None
        self._sums = {name: np.zeros(start.size) for name in wanted if name != "square"}

    def add(self, result: LocalResult, weight: float) -> None:
        """Count the result of one more client.

        Args:
            result: Local result from the start vector; its arrays must not change afterwards.
            weight: Weight to which p_k is proportional, such as its samples.
        """
        if not result.steps or not self._rate:  # a schedule may end at a rate of 0
            return
        size = self._start.size
        held = result.mask[:size]
        divisor = self._rate * result.steps
        self._total_weight += weight
        if held.all():
            self._full_weight += weight
        else:
            if self._partial_weight is None:
                self._partial_weight = np.zeros(size)
            np.add(self._partial_weight, weight, out=self._partial_weight, where=held)
        if self._wants_squares:
            measured = result.sums.get("squared_gradient")
            if self._squares is None:
                self._squares = WeightedSum(size, self._start if measured is None else None)
            if measured is None:
                self._squares.add(result.vector[:size], weight, divisor)
            else:
                self._squares.add(measured, weight / max(1, result.batches))
        if not self._sums:
            return
        for first in range(0, size, _BLOCK):
            block = slice(first, min(first + _BLOCK, size))
            # 0 for weights that the client does not hold.
            delta = np.subtract(result.vector[block], self._start[block], dtype=np.float64)
            for name, total in self._sums.items():
                if name == "movement":
                    total[block] += weight * delta
                else:
                    total[block] -= weight * (delta / divisor)

    @property
    def seen(self) -> Mask:
        """True for weights that any client held, (n,)."""
        return self._weights() > 0

    def mean_gradient(self) -> Doubles:
        """Gradient g (n,), 0 where no client held the weight."""
        return self._over_holders(self._sums["gradient"])

    def mean_square(self) -> Doubles:
        """Mean square (n,) over the holders of each weight."""
        if self._squares is None:
            return np.zeros(self._start.size)
        return self._over_holders(self._squares.total)

    def movement(self) -> Doubles:
        """|sum_k p_k Delta_k| (n,), with Delta_k = 0 for weights that client k does not hold."""
        moved: Doubles = np.abs(self._sums["movement"]) / (self._total_weight or 1.0)
        return moved

    def _over_holders(self, total: Doubles) -> Doubles:
        if self._partial_weight is None:
            return total / self._full_weight if self._full_weight else np.zeros_like(total)
        weights = self._weights()
        return np.divide(total, weights, out=np.zeros_like(total), where=weights > 0)

    def _weights(self) -> Doubles:
        """Sum of the weights of the holders of each value, (n,)."""
        if self._partial_weight is None:
            return np.full(self._start.size, self._full_weight)
        return self._partial_weight + self._full_weight

    def update(
        self, known: Estimates, momentum: float, *, secant: bool, filters: Mask, movement: Doubles
    ) -> Estimates:
        """The estimates after this round.

        Args:
            known: One row of the estimates before, arrays (n,).
            momentum: Factor of the running means, in [0, 1).
            secant: Whether the curvature is that of the secant instead of the mean square.
            filters: True for filters that any client held, (filters,).
            movement: Movement of the filters, (filters,).

        Returns:
            The row after the round.
        """
        seen = self.seen
        after = known
        if filters.size:
            after = replace(after, movement=known.movement.moved(movement, filters, 0.0))
        if known.curvature.value.size:
            new, observed = self._secant(known) if secant else (self.mean_square(), seen)
            after = replace(after, curvature=known.curvature.moved(new, observed, momentum))
        if known.gradient.value.size:
            gradient = self.mean_gradient()
            after = replace(after, gradient=known.gradient.moved(gradient, seen, momentum))
            if known.last_gradient.size:
                after = replace(
                    after,
                    last_gradient=np.where(seen, gradient, known.last_gradient).astype(np.float32),
                    last_vector=np.where(seen, self._start, known.last_vector),
                )
        return after

    def _secant(self, known: Estimates) -> tuple[Doubles, Mask]:
        """|g - g'| / (|w - w'| + epsilon) with the last round in which the weight was held.

        Clipped at its 99.9 % quantile; the mask says where there is a value.
        """
        observed = self.seen & known.gradient.known
        ratio: Doubles = np.abs(self.mean_gradient() - known.last_gradient) / (
            np.abs(self._start - known.last_vector) + _EPSILON
        )
        if observed.any():
            ratio = np.minimum(ratio, np.quantile(ratio[observed], _CLIP_QUANTILE))
        return ratio, observed
