"""What the server learns about the loss from the models that come back: running gradient, curvature
and movement.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from training.arrays import Mask, Vector, check_shapes
from training.engine.program import LocalResult

_EPSILON = 1e-8  # a weight that hardly moved tells nothing about its curvature
_CLIP_QUANTILE = 0.999
# numbers that lie in a core's cache: whole vectors of 15 million take nearly twice as long
_BLOCK = 65_536

Floats = NDArray[np.float64]
Sum = Literal["gradient", "square", "movement"]


@dataclass(frozen=True, eq=False)
class RunningMean:
    """Values (..., n) that are observed now and then, with `known` (..., n): whether there was an
    observation yet.

    The first one is taken as it is; later ones move the value: x <- momentum x + (1 - momentum)
    new.
    """

    value: Vector
    known: Mask

    @classmethod
    def nothing(cls, *shape: int) -> "RunningMean":
        """No observation yet."""
        return cls(np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.bool_))

    def moved(self, new: NDArray[Any], seen: Mask, momentum: float) -> "RunningMean":
        """After the observations `new` where `seen`; the rest stays."""
        blended = np.where(self.known, momentum * self.value + (1.0 - momentum) * new, new)
        return RunningMean(
            np.where(seen, blended, self.value).astype(np.float32), self.known | seen
        )

    def row(self, index: int) -> "RunningMean":
        """One row of a table of them."""
        return RunningMean(self.value[index], self.known[index])


@dataclass(frozen=True, eq=False)
class Estimates:
    """One row for all clients, or one for each: (rows, n) with n weights; n = 0 for what the score
    does not use.

    `gradient` and `curvature` are running means per weight, `movement` is |sum_k p_k Delta_k| of
    the last round that held the weight, summed over each filter, (rows, filters). `last_gradient`
    and `last_vector` are what the secant needs of the last observation.
    """

    gradient: RunningMean
    curvature: RunningMean
    movement: RunningMean
    last_gradient: Vector
    last_vector: Vector

    @classmethod
    def nothing(
        cls, rows: int, *, gradient: int, curvature: int, movement: int, last: int
    ) -> "Estimates":
        """Before the first round, with so many numbers a row."""
        sizes = (gradient, curvature, movement)
        blank = np.zeros((rows, last), dtype=np.float32)
        first, second, third = (RunningMean.nothing(rows, size) for size in sizes)
        return cls(first, second, third, blank, blank)

    def row(self, index: int) -> "Estimates":
        """One row of each."""
        return Estimates(
            self.gradient.row(index),
            self.curvature.row(index),
            self.movement.row(index),
            self.last_gradient[index],
            self.last_vector[index],
        )

    def with_rows(self, rows: Mapping[int, "Estimates"]) -> "Estimates":
        """A copy with these rows in place of its own."""
        arrays = {name: array.copy() for name, array in self.pack().items()}
        for index, row in rows.items():
            for name, array in row.pack().items():
                arrays[name][index] = array
        return Estimates._of(arrays)

    def pack(self) -> dict[str, NDArray[Any]]:
        """Plain arrays."""
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
        """What `pack` gave, in the shapes of these estimates; `InputError` for other ones."""
        check_shapes(arrays, {name: own.shape for name, own in self.pack().items()})
        return Estimates._of(arrays)

    @classmethod
    def _of(cls, arrays: Mapping[str, NDArray[Any]]) -> "Estimates":
        def running(name: str) -> RunningMean:
            return RunningMean(arrays[f"score_{name}"], arrays[f"score_{name}_known"])

        last = arrays["score_last_gradient"], arrays["score_last_vector"]
        return cls(running("gradient"), running("curvature"), running("movement"), *last)


class RoundStatistics:
    """The models of one round as they come back, added up: what they say about gradient, curvature
    and movement.

    With Delta_k = w_k - w_t on what client k holds (mask m_k), tau_k steps and the effective step
    eta' = eta / (1 - momentum): g = -sum_k p_k m_k Delta_k / (eta' tau_k) / sum_k p_k m_k, and in
    the same way the mean of (Delta_k / (eta' tau_k))^2 (fisher), or of the clients' own mean
    squared gradients where they send them. Sums run in float64, in blocks that a core's cache
    holds, and only those of `wanted`. A client without a step tells nothing.
    """

    def __init__(
        self, start: Vector, effective_rate: float, wanted: Iterable[Sum] = get_args(Sum)
    ) -> None:
        self._start, self._rate, self._total_weight = start, effective_rate, 0.0
        self._weight = np.zeros(start.size)
        self._sums: dict[Sum, Floats] = {name: np.zeros(start.size) for name in wanted}

    def add(self, result: LocalResult, weight: float) -> None:
        """One more client's result, from the start vector and with p_k proportional to `weight`."""
        if not result.steps:
            return
        self._total_weight += weight
        measured = result.sums.get("squared_gradient")
        for first in range(0, self._start.size, _BLOCK):
            block = slice(first, min(first + _BLOCK, self._start.size))
            delta = np.subtract(
                result.vector[block], self._start[block], dtype=np.float64
            )  # 0 where nothing is held
            step = delta / (self._rate * result.steps)
            self._weight[block] += weight * result.mask[block]
            for name, total in self._sums.items():
                if name == "movement":
                    total[block] += weight * delta
                elif name == "gradient":
                    total[block] -= weight * step
                elif measured is None:
                    total[block] += weight * (step * step)
                else:
                    total[block] += (
                        weight / max(1, result.batches) * measured[block].astype(np.float64)
                    )

    @property
    def seen(self) -> Mask:
        """Weights that somebody held."""
        return self._weight > 0

    def mean_gradient(self) -> Floats:
        """g (n,), 0 where nobody held the weight."""
        return self._over_holders("gradient")

    def mean_square(self) -> Floats:
        """Mean square (n,) over the holders."""
        return self._over_holders("square")

    def movement(self) -> Floats:
        """|sum_k p_k Delta_k| (n,), who does not hold a weight counting with 0."""
        moved: Floats = np.abs(self._sums["movement"]) / (self._total_weight or 1.0)
        return moved

    def _over_holders(self, name: Sum) -> Floats:
        total = self._sums[name]
        return np.divide(total, self._weight, out=np.zeros_like(total), where=self._weight > 0)

    def update(
        self, known: Estimates, momentum: float, *, secant: bool, filters: Mask, movement: Floats
    ) -> Estimates:
        """The row `known` after this round; `movement` and `filters` (held by somebody) are per
        filter.
        """
        seen = self.seen
        after = (
            replace(known, movement=known.movement.moved(movement, filters, 0.0))
            if filters.size
            else known
        )
        if known.curvature.value.size:
            new, told = self._secant(known) if secant else (self.mean_square(), seen)
            after = replace(after, curvature=known.curvature.moved(new, told, momentum))
        if known.gradient.value.size:
            gradient = self.mean_gradient()
            after = replace(after, gradient=known.gradient.moved(gradient, seen, momentum))
            if known.last_gradient.size:
                last = np.where(seen, gradient, known.last_gradient).astype(np.float32)
                after = replace(
                    after,
                    last_gradient=last,
                    last_vector=np.where(seen, self._start, known.last_vector),
                )
        return after

    def _secant(self, known: Estimates) -> tuple[Floats, Mask]:
        """|g - g'| / (|w - w'| + epsilon) with the last round that held the weight; clipped at its
        99.9 % quantile.
        """
        told = self.seen & known.gradient.known
        ratio: Floats = np.abs(self.mean_gradient() - known.last_gradient) / (
            np.abs(self._start - known.last_vector) + _EPSILON
        )
        if told.any():
            ratio = np.minimum(ratio, np.quantile(ratio[told], _CLIP_QUANTILE))
        return ratio, told
