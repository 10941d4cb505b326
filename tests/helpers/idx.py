"""Small, valid data sets in MNIST's file format."""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDERS = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}


def write_idx(
    path: Path, array: NDArray[np.integer], *, kind: int = 0x08, dtype: str = "u1"
) -> None:
    """Write an IDX file, by default of unsigned bytes: magic number, sizes, data."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">{1 + array.ndim}I", 0x100 * kind + array.ndim, *array.shape)
    path.write_bytes(header + array.astype(dtype).tobytes())


def write_mnist_like(
    root: Path, name: str, *, train: int = 200, test: int = 100, side: int = 28
) -> Path:
    """Data set `name` under `root`: labels 0..9 in turn, image i all of grey level i mod 251."""
    raw = root / FOLDERS[name] / "raw"
    for part, count in (("train", train), ("t10k", test)):
        grey = (np.arange(count) % 251).astype(np.uint8)
        write_idx(
            raw / f"{part}-images-idx3-ubyte",
            np.broadcast_to(grey[:, None, None], (count, side, side)),
        )
        write_idx(raw / f"{part}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % 10)
    return raw
