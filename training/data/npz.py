"""Data sets as NumPy's npz files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.card import said
from wirelessfl.errors import InputError

Wanted = tuple[str, tuple[int | None, ...]]


def read(name: str, file: Path, wanted: Mapping[str, Wanted]) -> dict[str, NDArray[Any]]:
    """The arrays of `file`, by name with their type and shape (None: any length); `InputError`
    where they differ.
    """
    try:
        # Opened here: np.load leaves a file open that turns out not to be one of its own.
        with file.open("rb") as source, np.load(source, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in wanted if key in stored}
    except (
        Exception
    ) as error:  # foreign bytes: zipfile, zlib, numpy and its parser of headers have a dozen kinds
        raise InputError(
            f"data set {name!r}: {file} must be a whole npz file, got {said(error)}"
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
