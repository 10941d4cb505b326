"""Arrays of a Flower message as one flat vector, and masks as bits."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.arrays import Vector


def flat(arrays: Sequence[Any]) -> Vector:
    """The floating-point arrays one after another.

    Args:
        arrays: Arrays of any shape; those of whole numbers are omitted.

    Returns:
        Vector, (N,) float32.
    """
    parts = [np.ravel(one) for one in arrays if np.issubdtype(one.dtype, np.floating)]
    return np.concatenate([*parts, np.zeros(0)]).astype(np.float32)


def shaped(vector: Vector, like: Sequence[Any]) -> list[Any]:
    """The inverse of `flat`.

    Args:
        vector: Values, (N,).
        like: Arrays with the shapes and types of the result; those of whole numbers are taken over.

    Returns:
        One array for each of `like`.
    """
    found, start = [], 0
    for one in like:
        if np.issubdtype(one.dtype, np.floating):
            part = vector[start : start + one.size]
            found.append(part.reshape(one.shape).astype(one.dtype))
            start += one.size
        else:
            found.append(one)
    return found
