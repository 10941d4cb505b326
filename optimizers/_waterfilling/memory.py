"""Memory of large results, used again once no array of an earlier result refers to it.

The operating system hands out fresh memory page by page, on the first write to each: for a million
clients these interruptions take as long as several passes over the data.
"""

import math
import weakref

import numpy as np

from wirelessfl.arrays import Array

_LARGE = 2**19  # values from which the allocator of the C library returns freed memory
_KEPT = 2  # blocks that are kept for later results
_unused: list[Array] = []


class _Lent:
    """Owner of the memory of one result, as NumPy's array interface has it."""

    def __init__(self, memory: Array) -> None:
        self.__array_interface__ = memory.__array_interface__
        weakref.finalize(self, _take_back, memory).atexit = False


def _take_back(memory: Array) -> None:
    if len(_unused) < _KEPT:
        _unused.append(memory)


def empty_pair(shape: tuple[int, ...]) -> Array:
    """Two arrays with arbitrary values.

    Args:
        shape: Shape of each.

    Returns:
        The arrays; (2, *shape).
    """
    size = 2 * math.prod(shape)
    if size < 2 * _LARGE:
        return np.empty((2, *shape))
    memory = _unused.pop() if _unused else np.empty(size)
    if memory.size != size:
        memory = np.empty(size)
    return np.asarray(_Lent(memory)).reshape(2, *shape)
