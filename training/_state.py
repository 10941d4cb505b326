"""The form of a trainer's state on disk."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from wirelessfl.errors import InputError


def check_shapes(arrays: Mapping[str, NDArray[Any]], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `InputError` unless all of `shapes` are among `arrays`; others may be there, too."""
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].shape != shape:
            got = arrays[name].shape if name in arrays else "nothing"
            raise InputError(f"training state {name} must have shape {shape}, got {got}")
