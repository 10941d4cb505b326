"""Data sets in MNIST's file format, read by torchvision's classes from a folder of data sets."""

import os
from pathlib import Path
from typing import Any

from torch import Tensor

from training._torchvision import torchvision
from training.data._dataset import Dataset
from wirelessfl.errors import InputError

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def load(name: str, data_root: Path | None, *, folder: str, classes: int) -> Dataset:
    """Data set `name` from `<data_root>/<folder>/raw`, where `folder` is the name of torchvision's class.

    `data_root=None` is the folder that the environment variable WIRELESSFL_DATA names. Missing and damaged files are
    an `InputError`; nothing is downloaded.
    """
    root = _root(name, data_root)
    raw = root / folder / "raw"
    missing = [file for file in FILES if not os.path.isfile(raw / file)]
    if missing:
        raise InputError(
            f"data set {name!r} must have its files, unpacked, in {raw}; missing: {', '.join(missing)} "
            f"(--data-root or WIRELESSFL_DATA names the folder that holds {folder}; to download: "
            f"python -c \"from wirelessfl.plugins import load; load('datasets', '{name}')().fetch('{root}')\")"
        )
    train, test = (_part(name, root, folder, train=train) for train in (True, False))
    return Dataset.of(name, train=train, test=test, classes=classes)


def fetch(data_root: Path, *, folder: str) -> None:
    """Download into `<data_root>/<folder>/raw` and unpack what is not there yet."""
    _torchvision_class(folder)(data_root, download=True)


def _root(name: str, data_root: Path | None) -> Path:
    root = data_root or os.environ.get("WIRELESSFL_DATA")
    if not root:
        raise InputError(f"data set {name!r} needs a folder of data sets: give --data-root or set WIRELESSFL_DATA")
    return Path(root)


def _part(name: str, root: Path, folder: str, *, train: bool) -> tuple[Tensor, Tensor]:
    try:
        data = _torchvision_class(folder)(root, train=train, download=False)
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, AssertionError) as error:
        # What torchvision raises on a truncated file, a wrong header or a wrong number of dimensions.
        raise InputError(
            f"data set {name!r}: {'train' if train else 't10k'} files in {root / folder / 'raw'} must be whole IDX "
            f"files, got {' '.join(str(error).split()) or type(error).__name__}"
        ) from error
    return data.data.unsqueeze(1), data.targets


def _torchvision_class(folder: str) -> Any:
    return getattr(torchvision().datasets, folder)
