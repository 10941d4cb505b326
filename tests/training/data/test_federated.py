"""Data sets that say whose a sample is: writers of QMNIST, users of LEAF."""

import numpy as np
import pytest
import torch
from helpers.corruption import cut, empty, huge_header, long, not_idx, unknown_type
from helpers.idx import write_idx, write_mnist_like
from helpers.synthetic import (
    TRAIN,
    WRITERS,
    write_femnist,
    write_writers,
)

from training.datasets.femnist import Femnist
from training.datasets.mnist import Mnist
from training.datasets.qmnist_writers import QmnistWriters
from wirelessfl.errors import InputError


def test_writers_are_those_of_the_label_file(tmp_path):
    write_mnist_like(tmp_path, "mnist")
    write_writers(tmp_path)
    dataset = QmnistWriters().load(tmp_path)
    assert dataset.train_client.tolist() == [row % WRITERS for row in range(TRAIN)]
    assert dataset.test_client is None
    assert torch.equal(dataset.train_images, Mnist().load(tmp_path).train_images)


@pytest.mark.parametrize(
    ("table", "dtype", "said"),
    [
        (np.zeros((TRAIN, 8)), ">i4", "must have MNIST's labels, got 0 for 1 in row 1"),
        (np.zeros((TRAIN - 1, 8)), ">i4", r"must have shape \(200, 8\), got \(199, 8\)"),
        (np.zeros((TRAIN, 5)), ">i4", r"must have shape \(200, 8\), got \(200, 5\)"),
        (np.zeros((TRAIN, 8)), "u1", "must be an IDX file that begins with 00000c02, got 00000802"),
    ],
)
def test_labels_of_writers_must_fit_mnist(table, dtype, said, tmp_path):
    write_mnist_like(tmp_path, "mnist")
    file = write_writers(tmp_path)
    write_idx(file, table, kind=0x08 if dtype == "u1" else 0x0C, dtype=dtype)
    with pytest.raises(InputError, match=said) as error:
        QmnistWriters().load(tmp_path)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("damage", [cut, empty, not_idx, huge_header, unknown_type, long])
def test_damaged_labels_of_writers_are_one_line(damage, tmp_path):
    write_mnist_like(tmp_path, "mnist")
    file = write_writers(tmp_path)
    damage(file)
    with pytest.raises(
        InputError, match=r"must (be an IDX file that|have \d+ bytes) .*, got \w+"
    ) as error:
        QmnistWriters().load(tmp_path)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_leafs_users_and_bytes_come_back(tmp_path):
    write_femnist(tmp_path)
    dataset = Femnist().load(tmp_path)
    assert dataset.train_images.shape == (3 * 62, 1, 28, 28)
    assert dataset.train_images[63].unique().tolist() == [ord("b") + 1]
    assert dataset.train_client.tolist() == [0] * 62 + [1] * 62 + [2] * 62
    assert torch.equal(dataset.train_client, dataset.test_client)


def test_users_without_test_images_share_those_of_all(tmp_path):
    write_femnist(tmp_path, test_users=("d",))
    assert Femnist().load(tmp_path).test_client is None


def test_users_without_images_are_left_out(tmp_path):
    folder = write_femnist(tmp_path)
    (folder / "train" / "z.json").write_text(
        '{"users": ["e"], "user_data": {"e": {"x": [], "y": []}}}'
    )
    assert int(Femnist().load(tmp_path).train_client.max()) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "must be a json file of LEAF, got Expecting"),
        ("[]", "must be a json file of LEAF, got list"),
        ('{"users": ["a"]}', "must be a json file of LEAF, got no key 'user_data'"),
        ('{"users": ["a"], "user_data": {}}', "must be a json file of LEAF, got no key 'a'"),
        (
            '{"users": ["a"], "user_data": {"a": {"x": [[1, 2]], "y": [0]}}}',
            "got 2 pixels an image for 784",
        ),
        (
            '{"users": ["a"], "user_data": {"a": {"x": [[1, 2], [3]], "y": [0, 1]}}}',
            "got .*inhomogeneous",
        ),
        (
            f'{{"users": ["a"], "user_data": {{"a": {{"x": [{[2] * 784}], "y": [0]}}}}}}',
            "got pixels outside 0 to 1",
        ),
        (
            f'{{"users": ["a"], "user_data": {{"a": {{"x": [{[0] * 784}], "y": [3.7]}}}}}}',
            "labels that are no whole numb",
        ),
        (
            f'{{"users": ["a"], "user_data": {{"a": {{"x": [{[0] * 784}], "y": [1e30]}}}}}}',
            "LEAF, got .*too large",
        ),
        ("[" * 100_000, "must be a json file of LEAF, got .*recursion"),
        ('{"users": [], "user_data": {}}', "must hold json files with images, got 1 files"),
    ],
)
def test_files_that_are_not_leafs_are_one_line(content, said, tmp_path):
    folder = write_femnist(tmp_path)
    (folder / "test" / "all_data_0.json").write_text(content)
    with pytest.raises(InputError, match=said) as error:
        Femnist().load(tmp_path)
    assert str(folder / "test") in str(error.value)
    assert "\n" not in str(error.value)
