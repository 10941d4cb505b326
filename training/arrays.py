"""Names of array types, and the check of their shapes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.errors import InputError

Vector = NDArray[np.float32]
Mask = NDArray[np.bool_]


def check_shapes(arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `InputError` unless all of `shapes` are among `arrays`; others may be there, too."""
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].shape != shape:
            got = arrays[name].shape if name in arrays else "nothing"
            raise InputError(f"training state {name} must have shape {shape}, got {got}")
