"""The embedded digits, files of the IDX format, and what every data set is."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.corruption import (
    cut,
    empty,
    float_type,
    huge_header,
    long,
    not_idx,
    signed_type,
    unknown_type,
)
from helpers.idx import write_idx, write_mnist_like
from sklearn.datasets import load_digits

from training.data.dataset import Dataset
from training.data.torchvision_shim import torchvision
from training.datasets.digits import Digits
from training.datasets.fashion_mnist import FashionMnist
from training.datasets.mnist import Mnist
from wirelessfl.errors import InputError


def test_digits_are_all_of_scikit_learns_images_each_once():
    dataset = Digits().load()
    assert dataset.train_images.shape == (1442, 1, 8, 8)
    assert dataset.test_images.shape == (355, 1, 8, 8)
    original = load_digits()
    ours = torch.cat([dataset.train_images, dataset.test_images]).flatten(1).numpy()
    labels = torch.cat([dataset.train_labels, dataset.test_labels]).numpy()
    rows = np.column_stack([ours, labels])
    theirs = np.column_stack([original.data, original.target])
    assert np.array_equal(rows[np.lexsort(rows.T)], theirs[np.lexsort(theirs.T)])


def test_digits_split_takes_a_fifth_of_every_class():
    dataset = Digits().load()
    train, test = dataset.train_labels.bincount(), dataset.test_labels.bincount()
    assert torch.equal(test, (train + test) // 5)


@pytest.mark.parametrize(("plugin", "name"), [(Mnist, "mnist"), (FashionMnist, "fashion-mnist")])
def test_idx_files_are_read_as_they_are(plugin, name, tmp_path):
    write_mnist_like(tmp_path, name, train=30, test=20)
    dataset = plugin().load(tmp_path)
    assert dataset.train_images.shape == (30, 1, 28, 28)
    assert dataset.train_images[:, 0, 5, 7].tolist() == list(range(30))
    assert dataset.test_labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 2
    assert dataset.mean == 14.5
    assert dataset.std == pytest.approx(((30**2 - 1) / 12) ** 0.5, rel=1e-12)


def test_data_root_defaults_to_the_environment(tmp_path, monkeypatch):
    write_mnist_like(tmp_path, "mnist")
    monkeypatch.setenv("WIRELESSFL_DATA", str(tmp_path))
    assert len(Mnist().load().train_labels) == 200
    monkeypatch.delenv("WIRELESSFL_DATA")
    with pytest.raises(
        InputError, match=r"data set 'mnist' needs a folder .* --data-root or set WIRELESSFL_DATA"
    ):
        Mnist().load()


def test_missing_files_are_named_with_their_folder(tmp_path):
    raw = write_mnist_like(tmp_path, "fashion-mnist")
    (raw / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError) as error:
        FashionMnist().load(tmp_path)
    message = str(error.value)
    assert f"in {raw}; missing: t10k-labels-idx1-ubyte (" in message
    assert "--data-root" in message
    assert "wirelessfl data fetch fashion-mnist" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "damage", [cut, empty, not_idx, huge_header, float_type, signed_type, unknown_type, long]
)
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_damaged_files_are_one_line(damage, file, tmp_path):
    raw = write_mnist_like(tmp_path, "mnist")
    damage(raw / file)
    with pytest.raises(InputError, match=r"data set 'mnist'") as error:
        Mnist().load(tmp_path)
    assert "\n" not in str(error.value)
    assert file.split("-")[0] in str(error.value)


def test_files_that_may_not_be_read_are_one_line(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    raw = write_mnist_like(tmp_path, "mnist")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InputError) as error:
        Mnist().load(tmp_path)
    assert (
        str(error.value)
        == f"data set 'mnist': {raw / 'train-images-idx3-ubyte'} cannot be read: Permission denied"
    )


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "must have 108 bytes for (100,), got 8"),
        (empty, "must be an IDX file that begins with 00000801, got nothing in 0 bytes"),
        (not_idx, "must be an IDX file that begins with 00000801, got 3c21444f in 37 bytes"),
        (float_type, "must be an IDX file that begins with 00000801, got 00000d01 in 108 bytes"),
        (long, "must have 108 bytes for (100,), got 109"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(damage, said, tmp_path):
    raw = write_mnist_like(tmp_path, "mnist")
    damage(raw / "t10k-labels-idx1-ubyte")
    with pytest.raises(InputError) as error:
        Mnist().load(tmp_path)
    assert str(error.value) == f"data set 'mnist': {raw / 't10k-labels-idx1-ubyte'} {said}"


def test_torchvision_reads_the_same(tmp_path):
    raw = write_mnist_like(tmp_path, "mnist")
    write_idx(
        raw / "train-images-idx3-ubyte", np.random.default_rng(0).integers(0, 256, (200, 28, 28))
    )
    ours, theirs = Mnist().load(tmp_path), torchvision().datasets.MNIST(tmp_path)
    assert torch.equal(ours.train_images[:, 0], theirs.data)
    assert torch.equal(ours.train_labels, theirs.targets)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "train-labels-idx1-ubyte",
            np.arange(199) % 10,
            "as many labels as images, got 199 and 200",
        ),
        ("train-labels-idx1-ubyte", np.arange(200) % 11, "labels must be 0 to 9, got 0 to 10"),
        (
            "t10k-images-idx3-ubyte",
            np.ones((100, 8, 8)),
            "one shape, got .1, 28, 28. and .1, 8, 8.",
        ),
        (
            "train-images-idx3-ubyte",
            np.full((200, 28, 28), 7),
            "must not be equal, got 7 everywhere",
        ),
    ],
)
def test_parts_that_do_not_fit_together(file, content, said, tmp_path):
    raw = write_mnist_like(tmp_path, "mnist")
    write_idx(raw / file, content.astype(np.uint8))
    with pytest.raises(InputError, match=said):
        Mnist().load(tmp_path)


def test_a_data_set_refuses_images_that_are_not_bytes():
    images, labels = torch.zeros(4, 1, 2, 2), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(
        InputError, match=r"data set 'x', train part: must be uint8 images .* got torch.float32"
    ):
        Dataset.of("x", train=(images, labels), test=(images, labels), classes=2)


def test_a_data_set_refuses_images_without_pixels():
    part = torch.zeros(4, 1, 0, 2, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(
        InputError, match=r"train part: images must have pixels, got \(4, 1, 0, 2\)"
    ):
        Dataset.of("x", train=part, test=part, classes=2)


def test_mean_and_deviation_do_not_depend_on_the_number_of_threads():
    images = torch.randint(
        0, 256, (9000, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    part = (images, torch.zeros(9000, dtype=torch.int64))
    dataset = Dataset.of("x", train=part, test=part, classes=1)
    assert dataset.mean == images.numpy().mean()
    assert dataset.std == pytest.approx(images.numpy().std(), rel=1e-12)


@pytest.mark.slow
def test_listing_and_naming_data_sets_imports_no_torchvision():
    code = (
        "import sys; from wirelessfl.plugins import load, names\n"
        "for name in names('datasets'): load('datasets', name)()\n"
        "assert not {'torchvision', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": 3}, "classes of float32 targets must be 1, got 3"),
        (
            {"train_client": torch.tensor([0, 1, 3, 0])},
            "train part: every client must have a row, got 3 clients",
        ),
        (
            {"train_client": torch.tensor([0, 1])},
            "client ids must be one int64 from 0 on for each row, got .* .2,",
        ),
        (
            {"test_client": torch.tensor([0, 0, 0, 0])},
            "test part: every client must have a row, got 1 clients",
        ),
        (
            {"validation": (torch.zeros(2, 3), torch.zeros(2))},
            "train and validation images must have one shape",
        ),
    ],
)
def test_a_data_set_refuses_what_does_not_fit_together(changes, said):
    part = torch.zeros(4, 2), torch.zeros(4)
    with pytest.raises(InputError, match=said):
        Dataset.of("x", **({"train": part, "test": part, "classes": 1} | changes))
