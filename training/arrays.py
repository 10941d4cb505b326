"""Names of array types, and the check of their shapes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.errors import InputError

Vector = NDArray[np.float32]  # weights of a model, (size,)
Mask = NDArray[np.bool_]  # True where a weight is kept
Floats = NDArray[np.floating[Any]]  # weights in float32 or float64
Doubles = NDArray[np.float64]  # quantities computed in float64


def check_shapes(arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check that arrays of a stored state have the expected shapes.

    Args:
        arrays: The stored arrays by name; additional ones are allowed.
        shapes: The expected shape of each array.

    Raises:
        InputError: An array is missing or has another shape.
    """
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].shape != shape:
            got = arrays[name].shape if name in arrays else "nothing"
            raise InputError(f"training state {name} must have shape {shape}, got {got}")
