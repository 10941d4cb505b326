"""Data sets in MNIST's file format, read by torchvision's classes from a folder of data sets."""

from pathlib import Path
from typing import Any

from torch import Tensor

from training._torchvision import torchvision
from training.data._card import Card, fetched
from training.data._dataset import Dataset, Part
from wirelessfl.errors import InputError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# What torchvision raises on a truncated file, a wrong header or a wrong number of dimensions.
DAMAGE = (OSError, RuntimeError, ValueError, TypeError, KeyError, AssertionError)


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
    """The data set from `<data_root>/<folder>/raw`, where `folder` is the name of torchvision's class.

    `data_root=None` is the folder that the environment variable WIRELESSFL_DATA names. Missing and damaged files are
    an `InputError`; nothing is downloaded.
    """
    train, test = parts(card, data_root, folder=folder)
    return Dataset.of(card.name, train=train, test=test, classes=card.classes)


def parts(card: Card, data_root: Path | None, *, folder: str) -> tuple[Part, Part]:
    """Images and labels to train and to test."""
    root, _ = card.require(data_root)
    train, test = (_part(card.name, root, folder, train=train) for train in (True, False))
    return train, test


def read_table(name: str, file: Path) -> Tensor:
    """The IDX file `file` of data set `name`."""
    try:
        table: Tensor = torchvision().datasets.mnist.read_sn3_pascalvincent_tensor(str(file))
    except (*DAMAGE, IndexError) as error:
        raise InputError(f"data set {name!r}: {file} must be a whole IDX file, got {said(error)}") from error
    return table


def fetch(data_root: Path, *, folder: str) -> None:
    """Download into `<data_root>/<folder>/raw` and unpack what is not there yet."""
    _torchvision_class(folder)(data_root, download=True)


def said(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _part(name: str, root: Path, folder: str, *, train: bool) -> Part:
    try:
        data = _torchvision_class(folder)(root, train=train, download=False)
    except DAMAGE as error:
        raise InputError(
            f"data set {name!r}: {'train' if train else 't10k'} files in {root / folder / 'raw'} must be whole IDX "
            f"files, got {said(error)}"
        ) from error
    return data.data.unsqueeze(1), data.targets


def _torchvision_class(folder: str) -> Any:
    return getattr(torchvision().datasets, folder)
