"""Data sets in MNIST's file format IDX, in the folders of torchvision."""

import math
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.data.card import Card, fetched
from training.data.dataset import Dataset, Samples
from training.data.torchvision_shim import torchvision
from wirelessfl.errors import InputError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# Sources over https; torchvision checks the published MD5 of every file.
MIRRORS = {
    "MNIST": ["https://ossci-datasets.s3.amazonaws.com/mnist/"],
    "FashionMNIST": [
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
    ],
}
BYTES, INTEGERS = 0x08, 0x0C  # third byte of a file: the type of its values
_TYPES = {BYTES: "u1", INTEGERS: ">i4"}


DIGITS = tuple("0123456789")


def card(name: str, *, folder: str, classes: int, class_names: tuple[str, ...] = DIGITS) -> Card:
    """The card of a data set with as many images as MNIST in `<root>/<folder>/raw`.

    Args:
        name: Name of the data set.
        folder: Folder below the folder of data sets.
        classes: Number of classes.
        class_names: Name of each class.

    Returns:
        The card.
    """
    place = tuple(f"{folder}/raw/{file}" for file in FILES)
    return Card(
        name=name,
        train=60000,
        test=10000,
        shape=(1, 28, 28),
        classes=classes,
        places=(place,),
        origin=fetched(name),
        class_names=class_names,
    )


def load(card: Card, data_root: Path | None, *, folder: str) -> Dataset:
    """Read a data set.

    Args:
        card: The card from `card`.
        data_root: Folder of data sets; see `Card.root`.
        folder: Folder below it.

    Returns:
        The data set.

    Raises:
        InputError: Files are missing or damaged.
    """
    train, test = parts(card, data_root, folder=folder)
    return Dataset.of(card.name, train=train, test=test, classes=card.classes)


def parts(card: Card, data_root: Path | None, *, folder: str) -> tuple[Samples, Samples]:
    """Training and test samples.

    Args:
        card: The card from `card`.
        data_root: Folder of data sets; see `Card.root`.
        folder: Folder below it.

    Returns:
        Images (N, 1, 28, 28) uint8 and labels (N,), for training and for testing.

    Raises:
        InputError: Files are missing or damaged.
    """
    root, _ = card.require(data_root)
    images, labels, test_images, test_labels = (
        read(card.name, root / folder / "raw" / file, kind=BYTES, dimensions=dimensions)
        for file, dimensions in zip(FILES, (3, 1, 3, 1), strict=True)
    )
    return (images.unsqueeze(1), labels.long()), (test_images.unsqueeze(1), test_labels.long())


def read(name: str, file: Path, *, kind: int, dimensions: int) -> Tensor:
    """Read the array in an IDX file.

    The file starts with two zero bytes, one for the type, one for the number of axes, and the
    sizes; all big-endian.

    Args:
        name: Name of the data set, for messages.
        file: The file.
        kind: Type of the values, `BYTES` or `INTEGERS`.
        dimensions: Number of axes.

    Returns:
        The array, uint8 or int32.

    Raises:
        InputError: The file cannot be read, or is no such IDX file.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"data set {name!r}: {file} cannot be read: {error.strerror}") from None
    magic = bytes((0, 0, kind, dimensions))
    start = 4 * (1 + dimensions)
    if content[:4] != magic or len(content) < start:
        got = f"{content[:4].hex() or 'nothing'} in {len(content)} bytes"
        raise InputError(
            f"data set {name!r}: {file} must be an IDX file that begins with {magic.hex()}, "
            f"got {got}"
        )
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    dtype = np.dtype(_TYPES[kind])
    length = start + math.prod(shape) * dtype.itemsize
    if len(content) != length:
        raise InputError(
            f"data set {name!r}: {file} must have {length} bytes for {shape}, got {len(content)}"
        )
    values = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return torch.from_numpy(values.astype(dtype.newbyteorder("=")))


def fetch(data_root: Path, *, folder: str) -> None:
    """Download into `<data_root>/<folder>/raw` and unpack missing files.

    Args:
        data_root: Folder of data sets.
        folder: Name of torchvision's class, which is that of the folder.
    """
    source = getattr(torchvision().datasets, folder)
    # A class of the same name, from which torchvision takes that of the folder.
    secure = type(folder, (source,), {"mirrors": MIRRORS[folder]})
    secure(data_root, download=True)
