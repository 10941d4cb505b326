"""Data sets in MNIST's file format, IDX, in the folders where torchvision puts them."""

import math
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.data.card import Card, fetched
from training.data.dataset import Dataset, Part
from training.data.torchvision_shim import torchvision
from wirelessfl.errors import InputError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
BYTES, INTEGERS = 0x08, 0x0C  # third byte of a file: the type of its numbers
_TYPES = {BYTES: "u1", INTEGERS: ">i4"}


def card(name: str, *, folder: str, classes: int) -> Card:
    """Of a data set with as many images as MNIST in `<root>/<folder>/raw`."""
    place = tuple(f"{folder}/raw/{file}" for file in FILES)
    return Card(
        name=name,
        train=60000,
        test=10000,
        shape=(1, 28, 28),
        classes=classes,
        places=(place,),
        origin=fetched(name),
    )


def load(card: Card, data_root: Path | None, *, folder: str) -> Dataset:
    """The data set from `<data_root>/<folder>/raw`, where `folder` is the name of torchvision's
    class for it.

    `data_root=None` is the folder that the environment variable WIRELESSFL_DATA names. Missing and
    damaged files are an `InputError`; nothing is downloaded.
    """
    train, test = parts(card, data_root, folder=folder)
    return Dataset.of(card.name, train=train, test=test, classes=card.classes)


def parts(card: Card, data_root: Path | None, *, folder: str) -> tuple[Part, Part]:
    """Images and labels to train and to test."""
    root, _ = card.require(data_root)
    images, labels, test_images, test_labels = (
        read(card.name, root / folder / "raw" / file, kind=BYTES, dimensions=dimensions)
        for file, dimensions in zip(FILES, (3, 1, 3, 1), strict=True)
    )
    return (images.unsqueeze(1), labels.long()), (test_images.unsqueeze(1), test_labels.long())


def read(name: str, file: Path, *, kind: int, dimensions: int) -> Tensor:
    """The numbers in `file` of data set `name`; `InputError` says what is wrong with the file.

    It begins with two zero bytes, one for the type, one for the number of dimensions, then the
    sizes; all big-endian.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"data set {name!r}: {file} cannot be read: {error.strerror}") from None
    magic, start = bytes((0, 0, kind, dimensions)), 4 * (1 + dimensions)
    if content[:4] != magic or len(content) < start:
        got = f"{content[:4].hex() or 'nothing'} in {len(content)} bytes"
        raise InputError(
            f"data set {name!r}: {file} must be an IDX file that begins with {magic.hex()}, got {got}"
        )
    shape, dtype = struct.unpack_from(f">{dimensions}I", content, 4), np.dtype(_TYPES[kind])
    length = start + math.prod(shape) * dtype.itemsize
    if len(content) != length:
        raise InputError(
            f"data set {name!r}: {file} must have {length} bytes for {shape}, got {len(content)}"
        )
    numbers = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return torch.from_numpy(numbers.astype(dtype.newbyteorder("=")))


def fetch(data_root: Path, *, folder: str) -> None:
    """Download into `<data_root>/<folder>/raw` and unpack what is not there yet."""
    getattr(torchvision().datasets, folder)(data_root, download=True)
