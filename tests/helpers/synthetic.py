"""Small files in the format of every data set that is read from files.

Labels are 0, 1, ... in turn.
"""

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.idx import FOLDERS, write_idx, write_mnist_like
from training.data.torchvision_shim import torchvision

TRAIN = 200
TEST = 100
WRITERS = 7
BLOGS = 4


def write_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every data set under `root`."""
    for name in FOLDERS:
        write_mnist_like(root, name)
    write_writers(root)
    write_cifar(root, monkeypatch, "CIFAR10")
    write_cifar100_arrays(root)
    write_blogfeedback(root)
    write_femnist(root)


def write_writers(root: Path) -> Path:
    """QMNIST's label file for a synthetic MNIST: row i by writer 3 * (i mod WRITERS)."""
    rows = np.arange(TRAIN)
    table = np.zeros((TRAIN, 8), dtype=np.int32)
    table[:, 0] = rows % 10
    table[:, 2] = 3 * (rows % WRITERS)
    file = root / "QMNIST" / "raw" / "qmnist-train-labels-idx2-int"
    write_idx(file, table, kind=0x0C, dtype=">i4")
    return file


def write_cifar(root: Path, monkeypatch: pytest.MonkeyPatch, which: str) -> Path:
    """Pickles in torchvision's format, with the MD5 sums it expects; image i is of grey i."""
    known = getattr(torchvision().datasets, which)
    classes, key = {"CIFAR10": (10, "labels"), "CIFAR100": (100, "fine_labels")}[which]
    folder = root / known.base_folder
    folder.mkdir()
    for part, count in (("train_list", TRAIN), ("test_list", TEST)):
        names = [name for name, _ in getattr(known, part)]
        made = []
        for name, rows in zip(names, np.split(np.arange(count), len(names)), strict=True):
            data = np.repeat((rows % 251).astype(np.uint8)[:, None], 3072, axis=1)
            content = pickle.dumps(
                {"data": data, key: [int(row) % classes for row in rows]}, protocol=2
            )
            (folder / name).write_bytes(content)
            made.append([name, hashlib.md5(content).hexdigest()])
        monkeypatch.setattr(known, part, made)
    return folder


def write_cifar100_arrays(root: Path, **changes: Any) -> Path:
    """The npz form of CIFAR-100.

    Pixel (row, column, channel) of image i is i + row + 2 column + 3 channel.
    """
    row, column, channel = np.ogrid[:32, :32, :3]
    arrays: dict[str, Any] = {}
    for part, count in (("train", TRAIN), ("test", TEST)):
        image = np.arange(count)[:, None, None, None]
        arrays[f"{part}_images"] = ((image + row + 2 * column + 3 * channel) % 256).astype(np.uint8)
        arrays[f"{part}_fine_labels"] = np.arange(count, dtype=np.int64) % 100
    file = root / "cifar100.npz"
    np.savez(
        file, **{name: array for name, array in (arrays | changes).items() if array is not None}
    )
    return file


def write_blogfeedback(root: Path, **changes: Any) -> Path:
    """Random features: columns 0 to 49 one of BLOGS rows, 60 constant to train.

    The target is the row number.
    """
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", TRAIN), ("test", TEST)):
        table = rng.normal(3.0, 2.0, size=(count, 281))
        table[:, :50] = (np.arange(count) % BLOGS)[:, None]
        table[:, 60] = 5.0 if part == "train" else np.arange(count)
        table[:, 280] = np.arange(count)
        arrays[part] = table.astype(np.float32)
    file = root / "blogfeedback.npz"
    np.savez(file, **(arrays | changes))
    return file


def write_femnist(root: Path, *, test_users: tuple[str, ...] = ("a", "b", "c")) -> Path:
    """LEAF's files: users a, b in one file and c in another, 62 images each per split."""
    folder = root / "femnist"
    for part, files in (("train", (("a", "b"), ("c",))), ("test", (test_users,))):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for number, users in enumerate(files):
            data = {
                user: {
                    "x": [[(ord(user) + label) / 255.0] * 784 for label in range(62)],
                    "y": list(range(62)),
                }
                for user in users
            }
            content = {"users": list(users), "num_samples": [62] * len(users), "user_data": data}
            (folder / part / f"all_data_{number}.json").write_text(json.dumps(content))
    return folder
