"""Places of a round's sub-models: in the whole model, and among the values that any of them has."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from training.arrays import Vector
from training.engine.program import LocalResult
from training.structure.structure import Structure
from training.structure.submodel import SubModel

Index = NDArray[np.int64] | slice
EVERYTHING = slice(None)

_Key = tuple[tuple[int, ...], ...]
_T = TypeVar("_T")


class Places:
    """Positions of the values of a round's sub-models, ascending, computed once for each.

    The server computes on the values of `union`: no client changes another value.

    Attributes:
        union: The channels that any sub-model of the round keeps.
        held: Positions of the union's values in the whole model; all of them as a slice where it is
            the whole model.
        parameters: Those of its trained weights, without buffers.
        parameter_size: Number of its trained weights.
    """

    def __init__(self, structure: Structure, subs: Iterable[SubModel]) -> None:
        """Join the sub-models of a round.

        Args:
            structure: Structure of the whole model.
            subs: Sub-models of the round, at least one.
        """
        kept: dict[str, set[int]] = {name: set() for name in structure.widths}
        for sub in {_key(sub): sub for sub in subs}.values():
            for name, channels in sub.kept.items():
                kept[name].update(channels)
        self.union = SubModel(kept={name: tuple(sorted(numbers)) for name, numbers in kept.items()})
        whole = self.union == SubModel.first(structure.widths)
        self._structure = structure.narrowed(self.union.widths)
        self.parameter_size = self._structure.layout.parameter_size
        self.held: Index = EVERYTHING
        self.parameters: Index = slice(0, self.parameter_size)
        if not whole:
            self.held = structure.flat_indices(self.union)
            self.parameters = self.held[: self.parameter_size]
        self._indices: dict[_Key, Index] = {}
        self._values: dict[_Key, Vector] = {}

    def index(self, sub: SubModel) -> Index:
        """Positions in the flat vector of the union.

        Args:
            sub: A sub-model of the union.

        Returns:
            Positions (n,); all of them as a slice where the sub-model is the union.
        """

        def found() -> Index:
            if sub == self.union:
                return EVERYTHING
            return self._structure.flat_indices(sub.within(self.union))

        return _once(self._indices, sub, found)

    def values(self, start: Vector, sub: SubModel) -> Vector:
        """The values of a sub-model, one array for all clients that train it.

        Args:
            start: Values of the union, (size,), the same ones in every call.
            sub: A sub-model of the union.

        Returns:
            Values (n,), which must not be edited.
        """
        return _once(self._values, sub, lambda: taken(start, self.index(sub)))

    def spread(self, result: LocalResult, sub: SubModel, rest: Vector) -> LocalResult:
        """The result of a sub-model among the values of the union.

        Args:
            result: Result on the sub-model.
            sub: A sub-model of the union.
            rest: Values of the union, (size,).

        Returns:
            The result with `rest` in place of values that the sub-model does not have; they do not
            count in its mask.
        """
        index = self.index(sub)
        if isinstance(index, slice):
            return result
        vector, mask = rest.copy(), np.zeros(rest.size, dtype=np.bool_)
        vector[index], mask[index] = result.vector, result.mask
        sums = {}
        for name, total in result.sums.items():
            sums[name] = np.zeros(rest.size, dtype=np.float32)
            sums[name][index[: total.size]] = total
        return replace(result, vector=vector, mask=mask, sums=sums)


def taken(vector: Vector, index: Index) -> Vector:
    """A copy of the values at positions.

    Args:
        vector: Values, (size,).
        index: Positions (n,), or all of them as a slice.

    Returns:
        Values (n,), writable.
    """
    return vector.copy() if isinstance(index, slice) else vector[index]


def _once(known: dict[_Key, _T], sub: SubModel, make: Callable[[], _T]) -> _T:
    """The value that is known for a sub-model, made when it is first needed."""
    key = _key(sub)
    if key not in known:
        known[key] = make()
    return known[key]


def _key(sub: SubModel) -> _Key:
    return tuple(sub.kept.values())
