"""Arrays of npz files from people, checked against their claims before memory is taken."""

import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wirelessfl.border.budget import check_budget


def read_npz(path: Path, wanted: Collection[str]) -> dict[str, NDArray[Any]]:
    """Read arrays of a file.

    Args:
        path: The npz file.
        wanted: Names of arrays; those that the file lacks are omitted.

    Returns:
        The arrays by name.

    Raises:
        InputError: The arrays need more memory than the budget.
        OSError: The file cannot be read.
        ValueError: The file is no whole npz file, or an array is not as large as it claims.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {
                name: _claimed_bytes(archive, f"{name}.npy")
                for name in wanted
                if f"{name}.npy" in archive.namelist()
            }
        check_budget(f"{path} with arrays {', '.join(sizes)}", "bytes", sum(sizes.values()))
        # Opened here: np.load does not close a file that it cannot read.
        with path.open("rb") as source, np.load(source, allow_pickle=False) as stored:
            return {name: stored[name] for name in sizes}
    except (MemoryError, OSError, ValueError):
        raise
    except Exception as error:  # zipfile, zlib, tokenize and numpy raise a dozen kinds for damage
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def _claimed_bytes(archive: zipfile.ZipFile, name: str) -> int:
    """Bytes of an array by its header, which must be those that the archive holds."""
    info = archive.getinfo(name)
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(member)
        if dtype.hasobject:
            raise ValueError(f"{name} holds objects, not numbers")
        claimed = math.prod(shape) * dtype.itemsize
        if claimed != info.file_size - member.tell():
            raise ValueError(f"{name} claims to be {dtype} of shape {shape}, and is not")
        return claimed
