"""CIFAR's files: pickles of 10,000 images each (50,000 in CIFAR-100), identified by their MD5."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.data.dataset import Samples
from training.data.torchvision_shim import torchvision
from wirelessfl.errors import InputError

CLASSES = {"CIFAR10": "labels", "CIFAR100": "fine_labels"}


def parts(name: str, root: Path, *, which: str) -> tuple[Samples, Samples]:
    """Training and test samples.

    Args:
        name: Name of the data set, for messages.
        root: Folder of data sets.
        which: Name of torchvision's class, "CIFAR10" or "CIFAR100".

    Returns:
        Images (N, 3, 32, 32) uint8 and labels (N,), for training and for testing.

    Raises:
        InputError: A file cannot be read or has another MD5.
    """
    known = getattr(torchvision().datasets, which)
    train, test = (
        _joined(
            [_read(name, root / known.base_folder / file, md5) for file, md5 in files],
            CLASSES[which],
        )
        for files in (known.train_list, known.test_list)
    )
    return train, test


def fetch(data_root: Path, *, which: str) -> None:
    """Download and unpack missing files.

    Args:
        data_root: Folder of data sets.
        which: Name of torchvision's class, "CIFAR10" or "CIFAR100".
    """
    getattr(torchvision().datasets, which)(data_root, download=True)


def _read(name: str, file: Path, md5: str) -> dict[str, Any]:
    """The content of a file with the published MD5: no other file is unpickled."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"data set {name!r}: {file} cannot be read: {error.strerror}") from None
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise InputError(
            f"data set {name!r}: {file} must have the MD5 {md5}, got {found} ({len(content)} bytes)"
        )
    entry: dict[str, Any] = pickle.loads(content, encoding="latin1")
    return entry


def _joined(entries: list[dict[str, Any]], labels: str) -> Samples:
    """Images and labels of several files together."""
    images = np.concatenate([entry["data"] for entry in entries]).reshape(-1, 3, 32, 32)
    targets = np.concatenate([entry[labels] for entry in entries])
    return torch.from_numpy(images), torch.from_numpy(targets.astype(np.int64))
