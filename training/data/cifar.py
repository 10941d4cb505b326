"""CIFAR's own files: pickles of 10,000 images each (50,000 in CIFAR-100's), known by their MD5."""

import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.data.dataset import Part
from training.data.torchvision_shim import torchvision
from wirelessfl.errors import InputError

CLASSES = {"CIFAR10": "labels", "CIFAR100": "fine_labels"}


def parts(name: str, root: Path, *, which: str) -> tuple[Part, Part]:
    """Images and labels to train and to test of torchvision's class `which`; `InputError` names a
    file that differs.
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
    """Download and unpack what is not there yet."""
    getattr(torchvision().datasets, which)(data_root, download=True)


def _read(name: str, file: Path, md5: str) -> dict[str, Any]:
    """The content of a file with the published MD5: only such a file is unpickled."""
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


def _joined(entries: list[dict[str, Any]], labels: str) -> Part:
    images = np.concatenate([entry["data"] for entry in entries]).reshape(-1, 3, 32, 32)
    return torch.from_numpy(images), torch.tensor(
        [label for entry in entries for label in entry[labels]]
    )
