"""Data sets in NumPy's npz files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from training.data.card import one_line
from wirelessfl.border.npz import read_npz
from wirelessfl.errors import InputError

Wanted = tuple[str, tuple[int | None, ...]]


def read(name: str, file: Path, wanted: Mapping[str, Wanted]) -> dict[str, NDArray[Any]]:
    """Read arrays of a file.

    Args:
        name: Name of the data set, for messages.
        file: The npz file.
        wanted: Type and shape of each array by name; None in a shape stands for any length.

    Returns:
        The arrays by name.

    Raises:
        InputError: The file is no npz file, or an array is missing or has another type or shape.
    """
    try:
        arrays = read_npz(file, wanted)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(
            f"data set {name!r}: {file} must be a whole npz file, got {one_line(error)}"
        ) from error
    for key, (dtype, shape) in wanted.items():
        found = arrays.get(key)
        if found is None or found.dtype != dtype or not _fits(found.shape, shape):
            sizes = ", ".join("N" if size is None else str(size) for size in shape)
            got = "no such array" if found is None else f"{found.dtype} {found.shape}"
            raise InputError(
                f"data set {name!r}: array {key!r} of {file} must be {dtype} ({sizes}), got {got}"
            )
    return arrays


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(
        size in (have, None) for have, size in zip(found, wanted, strict=True)
    )
