"""CIFAR from pickles and arrays, BlogFeedback from arrays."""

import numpy as np
import pytest
import torch
from helpers.corruption import cut, empty, long, not_idx
from helpers.synthetic import (
    BLOGS,
    TRAIN,
    write_blogfeedback,
    write_cifar,
    write_cifar100_arrays,
)

from training.datasets.blogfeedback import BlogFeedback
from training.datasets.cifar10 import Cifar10
from training.datasets.cifar100 import Cifar100
from wirelessfl.errors import InputError


def test_cifar10_is_read_file_after_file(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch, "CIFAR10")
    dataset = Cifar10().load(tmp_path)
    assert dataset.train_images.shape == (TRAIN, 3, 32, 32)
    assert dataset.train_images[:, 1, 4, 5].tolist() == list(range(TRAIN))
    assert dataset.test_labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 10


@pytest.mark.parametrize("damage", [cut, empty, not_idx, long])
@pytest.mark.parametrize(
    ("plugin", "which", "file"),
    [(Cifar10, "CIFAR10", "data_batch_3"), (Cifar100, "CIFAR100", "test")],
)
def test_a_pickle_with_another_md5_is_named_and_not_opened(
    plugin, which, file, damage, tmp_path, monkeypatch
):
    folder = write_cifar(tmp_path, monkeypatch, which)
    monkeypatch.setattr("pickle.loads", lambda content, **_: _opened(content, folder, file))
    damage(folder / file)
    with pytest.raises(
        InputError, match=r"must have the MD5 \w{32}, got \w{32} \(\d+ bytes\)"
    ) as error:
        plugin().load(tmp_path)
    assert str(folder / file) in str(error.value)
    assert "\n" not in str(error.value)


def _opened(content, folder, file):
    assert content != (folder / file).read_bytes()
    return {"data": np.zeros((1, 3072), dtype=np.uint8), "labels": [0], "fine_labels": [0]}


def test_cifar100_prefers_the_original_files_and_says_when_it_has_others(tmp_path, monkeypatch):
    write_cifar100_arrays(tmp_path)
    dataset = Cifar100().load(tmp_path)
    assert "lossy" in dataset.provenance
    row, column, channel = 5, 9, 2
    assert int(dataset.train_images[7, channel, row, column]) == 7 + row + 2 * column + 3 * channel
    assert dataset.train_labels[:3].tolist() == [0, 1, 2]
    write_cifar(tmp_path, monkeypatch, "CIFAR100")
    original = Cifar100().load(tmp_path)
    assert original.provenance == ""
    assert original.train_images[7].unique().tolist() == [7]
    assert original.train_labels[101] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"train_images": None},
            "'train_images' of .*cifar100.npz must be uint8 .N, 32, 32, 3., got no such array",
        ),
        (
            {"test_images": np.zeros((100, 3, 32, 32), np.uint8)},
            "'test_images' of .* got uint8 .100, 3, 32, 32.",
        ),
        (
            {"train_fine_labels": np.zeros(200, np.float32)},
            "'train_fine_labels' of .* must be int64 .N., got float32",
        ),
        ({"train_fine_labels": np.arange(200)}, "labels must be 0 to 99, got 0 to 199"),
        (
            {"train_fine_labels": np.array([{}] * 200)},
            "cifar100.npz must be a whole npz file, got train_fine_labels.npy holds objects, not numbers",
        ),
    ],
)
def test_arrays_of_another_form_are_named(changes, said, tmp_path):
    write_cifar100_arrays(tmp_path, **changes)
    with pytest.raises(InputError, match=said) as error:
        Cifar100().load(tmp_path)
    assert "\n" not in str(error.value)


def _broken_inside(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, empty, not_idx, _broken_inside])
@pytest.mark.parametrize(
    ("plugin", "write"), [(Cifar100, write_cifar100_arrays), (BlogFeedback, write_blogfeedback)]
)
def test_damaged_npz_files_are_one_line(plugin, write, damage, tmp_path):
    file = write(tmp_path)
    damage(file)
    with pytest.raises(InputError, match=r"must be a whole npz file, got \w+") as error:
        plugin().load(tmp_path)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("behind", "offset", "byte"),
    [
        (b"PK\x01\x02", 4, 1),  # encrypted
        (b"PK\x01\x02", 2, 200),  # of a later version of zip
        (b"'shape': (", -1, ord("[")),  # a header that numpy's parser does not come to the end of
    ],
)
def test_npz_files_that_the_libraries_give_up_on_are_one_line(behind, offset, byte, tmp_path):
    file = write_blogfeedback(tmp_path)
    content = bytearray(file.read_bytes())
    content[content.index(behind) + len(behind) + offset] = byte
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"blogfeedback.npz must be a whole npz file, got \w+"):
        BlogFeedback().load(tmp_path)


@pytest.mark.parametrize("rows", [0, 1])
def test_blog_posts_need_rows_to_train(rows, tmp_path):
    write_blogfeedback(tmp_path, train=np.ones((rows, 281), dtype=np.float32))
    with pytest.raises(InputError, match=f"blogfeedback.npz must have 2 rows or more, got {rows}"):
        BlogFeedback().load(tmp_path)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 3e38])
def test_features_beyond_numbers_are_refused_without_a_warning(value, tmp_path):
    table = np.ones((100, 281), dtype=np.float32)
    table[3, 4], table[:50, 5], table[50:, 5] = value, 3e38, -3e38
    write_blogfeedback(tmp_path, train=table)
    with pytest.raises(
        InputError, match="data set 'blogfeedback', train part: features must be finite"
    ):
        BlogFeedback().load(tmp_path)


def test_blog_posts_are_split_and_scaled_by_their_training_rows(tmp_path):
    file = write_blogfeedback(tmp_path)
    dataset = BlogFeedback().load(tmp_path)
    validation, targets = dataset.validation
    assert (len(dataset.train_labels), len(targets), len(dataset.test_labels)) == (180, 20, 100)
    joined = torch.cat([dataset.train_labels, targets]).sort().values
    assert joined.tolist() == list(range(TRAIN))
    raw = np.load(file)
    own = raw["train"][dataset.train_labels.int().numpy(), :280]
    low, high = own.min(axis=0), own.max(axis=0)
    varies = high > low
    for table, features in (
        (own, dataset.train_images),
        (raw["test"][:, :280], dataset.test_images),
    ):
        expected = (table - low)[:, varies] / (high - low)[varies]
        np.testing.assert_allclose(features.numpy()[:, varies], expected, rtol=1e-6)
        assert not features.numpy()[:, ~varies].any()
    assert not varies[60]
    assert dataset.train_images.max() == 1
    assert dataset.test_images.max() > 1
    assert validation.shape == (20, 280)


def test_a_blog_is_what_its_first_fifty_columns_say(tmp_path):
    write_blogfeedback(tmp_path)
    dataset = BlogFeedback().load(tmp_path)
    assert dataset.train_client.tolist() == (dataset.train_labels.long() % BLOGS).tolist()


def test_the_split_of_blog_posts_has_a_seed_of_its_own(tmp_path):
    write_blogfeedback(tmp_path)
    rows = [
        BlogFeedback(split_seed=seed).load(tmp_path).train_labels.tolist() for seed in (0, 0, 1)
    ]
    assert rows[0] == rows[1] != rows[2]
    with pytest.raises(InputError, match="split_seed must be a whole number of at least 0, got -1"):
        BlogFeedback(split_seed=-1)


def test_features_that_are_no_numbers_are_refused(tmp_path):
    table = np.ones((100, 281), dtype=np.float32)
    table[3, 4] = np.nan
    write_blogfeedback(tmp_path, test=table)
    with pytest.raises(
        InputError, match="data set 'blogfeedback', test part: features must be finite, got nan"
    ):
        BlogFeedback().load(tmp_path)
