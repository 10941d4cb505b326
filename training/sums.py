"""Sums over the vectors of many clients in float64, each value in the order of the clients."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from training.arrays import Doubles, Mask, Vector

_AT_ONCE = 4  # vectors in one pass over the sums
_BLOCK = 65_536  # values of the array code that stay in the cache
# Values that array code adds in about the time in which the compiled sums are loaded.
_PAYS_AFTER = 200_000_000


class CompiledSums:
    """The compiled sums (numba), loaded once they pay: the import takes half a second.

    Attributes:
        functions: The module of the compiled sums; None until it is loaded.
    """

    def __init__(self) -> None:
        """Start without the compiled sums."""
        self.functions: Any = None
        self._values = 0

    def worthwhile(self, values: int) -> bool:
        """Count values whose sums have the same bits either way.

        Args:
            values: Number of values to add.

        Returns:
            True once the compiled sums are loaded.
        """
        if self.functions is None:
            self._values += values
            if self._values > _PAYS_AFTER and find_spec("numba") is not None:
                self.functions = import_module("training.compiled_sums")
        return self.functions is not None


COMPILED = CompiledSums()  # of this process


class WeightedSum:
    """Sum of n_k x_k over vectors x_k, or of n_k ((x_k - s) / d_k)^2 with a start s.

    Four vectors are added in one pass over the sums; the bits are those of one after the other. A
    vector that was added must not change before `total` is read.
    """

    def __init__(self, size: int, start: Vector | None = None) -> None:
        """Start with sums of 0.

        Args:
            size: Number of values n.
            start: Start s, (n,), for squares; None for the sum of the vectors.
        """
        self._total = np.zeros(size)
        self._start = start
        self._pending: list[tuple[Vector, float, float]] = []

    @property
    def total(self) -> Doubles:
        """The sums so far, (n,)."""
        self._add_pending()
        return self._total

    def add(self, vector: Vector, weight: float, divisor: float = 1.0) -> None:
        """Add one vector.

        Args:
            vector: Values x_k, (n,).
            weight: Weight n_k.
            divisor: Divisor d_k of a square.
        """
        self._pending.append((np.ascontiguousarray(vector), weight, divisor))
        if len(self._pending) == _AT_ONCE:
            self._add_pending()

    def add_held(self, vector: Vector, weight: float, mask: Mask) -> None:
        """Add some values of one vector to a sum of vectors.

        Args:
            vector: Values x_k, (n,).
            weight: Weight n_k.
            mask: True for the values that are added, (n,); the others are not read.
        """
        self._add_pending()
        for block, term in self._blocks():
            np.copyto(term, vector[block])
            if weight != 1.0:
                term *= weight
            np.add(self._total[block], term, out=self._total[block], where=mask[block])

    def _blocks(self) -> Iterator[tuple[slice, Doubles]]:
        """Blocks of the values, each with memory for as many terms."""
        size = self._total.size
        buffer = np.empty(min(_BLOCK, size))
        for first in range(0, size, _BLOCK):
            block = slice(first, min(first + _BLOCK, size))
            yield block, buffer[: block.stop - first]

    def _add_pending(self) -> None:
        size = self._total.size
        if self._pending and COMPILED.worthwhile(len(self._pending) * size):
            nothing = (np.zeros(size, dtype=np.float32), 0.0, 1.0)
            filled = self._pending + [nothing] * (_AT_ONCE - len(self._pending))
            rows, weights, divisors = zip(*filled, strict=True)
            if self._start is None:
                COMPILED.functions.add_rows(self._total, *rows, np.array(weights))
            else:
                COMPILED.functions.add_squares(
                    self._total, self._start, *rows, np.array(weights), np.array(divisors)
                )
        else:
            for block, term in self._blocks():
                for vector, weight, divisor in self._pending:
                    self._add_block(vector, weight, divisor, block, term)
        self._pending.clear()

    def _add_block(
        self, vector: Vector, weight: float, divisor: float, block: slice, term: Doubles
    ) -> None:
        # Copied to float64 first: faster than adding float32 to float64.
        np.copyto(term, vector[block])
        if self._start is not None:
            term -= self._start[block]
            term /= divisor
            term *= term
        if weight != 1.0:
            term *= weight
        self._total[block] += term
