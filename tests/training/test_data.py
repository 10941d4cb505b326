import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.idx import write_idx, write_mnist_like
from helpers.made_up import (
    BLOGS,
    TRAIN,
    WRITERS,
    write_blogfeedback,
    write_cifar,
    write_cifar100_arrays,
    write_femnist,
    write_writers,
)
from sklearn.datasets import load_digits

from training._torchvision import torchvision
from training.data._dataset import Dataset
from training.data.blogfeedback import BlogFeedback
from training.data.cifar10 import Cifar10
from training.data.cifar100 import Cifar100
from training.data.digits import Digits
from training.data.fashion_mnist import FashionMnist
from training.data.femnist import Femnist
from training.data.mnist import Mnist
from training.data.qmnist_writers import QmnistWriters
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
    with pytest.raises(InputError, match=r"data set 'mnist' needs a folder .* --data-root or set WIRELESSFL_DATA"):
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


def _cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def _empty(path):
    path.write_bytes(b"")


def _not_idx(path):
    path.write_bytes(b"<!DOCTYPE html><html>not found</html>")


def _huge_header(path):
    path.write_bytes(path.read_bytes()[:4] + b"\xff" * 12 + path.read_bytes()[16:])


def _float_type(path):
    path.write_bytes(b"\x00\x00\x0d" + path.read_bytes()[3:])


def _signed_type(path):
    path.write_bytes(b"\x00\x00\x09" + path.read_bytes()[3:])


def _unknown_type(path):
    path.write_bytes(b"\x00\x00\x0a" + path.read_bytes()[3:])


def _long(path):
    path.write_bytes(path.read_bytes() + b"\x00")


@pytest.mark.parametrize(
    "damage", [_cut, _empty, _not_idx, _huge_header, _float_type, _signed_type, _unknown_type, _long]
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
    assert str(error.value) == f"data set 'mnist': {raw / 'train-images-idx3-ubyte'} cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_cut, "must have 108 bytes for (100,), got 8"),
        (_empty, "must be an IDX file that begins with 00000801, got nothing in 0 bytes"),
        (_not_idx, "must be an IDX file that begins with 00000801, got 3c21444f in 37 bytes"),
        (_float_type, "must be an IDX file that begins with 00000801, got 00000d01 in 108 bytes"),
        (_long, "must have 108 bytes for (100,), got 109"),
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
    write_idx(raw / "train-images-idx3-ubyte", np.random.default_rng(0).integers(0, 256, (200, 28, 28)))
    ours, theirs = Mnist().load(tmp_path), torchvision().datasets.MNIST(tmp_path)
    assert torch.equal(ours.train_images[:, 0], theirs.data)
    assert torch.equal(ours.train_labels, theirs.targets)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("train-labels-idx1-ubyte", np.arange(199) % 10, "as many labels as images, got 199 and 200"),
        ("train-labels-idx1-ubyte", np.arange(200) % 11, "labels must be 0 to 9, got 0 to 10"),
        ("t10k-images-idx3-ubyte", np.ones((100, 8, 8)), "one shape, got .1, 28, 28. and .1, 8, 8."),
        ("train-images-idx3-ubyte", np.full((200, 28, 28), 7), "must not be equal, got 7 everywhere"),
    ],
)
def test_parts_that_do_not_fit_together(file, content, said, tmp_path):
    raw = write_mnist_like(tmp_path, "mnist")
    write_idx(raw / file, content.astype(np.uint8))
    with pytest.raises(InputError, match=said):
        Mnist().load(tmp_path)


def test_a_data_set_refuses_images_that_are_not_bytes():
    images, labels = torch.zeros(4, 1, 2, 2), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(InputError, match=r"data set 'x', train part: must be uint8 images .* got torch.float32"):
        Dataset.of("x", train=(images, labels), test=(images, labels), classes=2)


def test_a_data_set_refuses_images_without_pixels():
    part = torch.zeros(4, 1, 0, 2, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
    with pytest.raises(InputError, match=r"train part: images must have pixels, got \(4, 1, 0, 2\)"):
        Dataset.of("x", train=part, test=part, classes=2)


def test_mean_and_deviation_do_not_depend_on_the_number_of_threads():
    images = torch.randint(0, 256, (9000, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    part = (images, torch.zeros(9000, dtype=torch.int64))
    dataset = Dataset.of("x", train=part, test=part, classes=1)
    assert dataset.mean == images.numpy().mean()
    assert dataset.std == pytest.approx(images.numpy().std(), rel=1e-12)


def test_listing_and_naming_data_sets_imports_no_torchvision():
    code = (
        "import sys; from wirelessfl.plugins import load, names\n"
        "for name in names('datasets'): load('datasets', name)()\n"
        "assert not {'torchvision', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_cifar10_is_read_file_after_file(tmp_path, monkeypatch):
    write_cifar(tmp_path, monkeypatch, "CIFAR10")
    dataset = Cifar10().load(tmp_path)
    assert dataset.train_images.shape == (TRAIN, 3, 32, 32)
    assert dataset.train_images[:, 1, 4, 5].tolist() == list(range(TRAIN))
    assert dataset.test_labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 10


@pytest.mark.parametrize("damage", [_cut, _empty, _not_idx, _long])
@pytest.mark.parametrize(
    ("plugin", "which", "file"), [(Cifar10, "CIFAR10", "data_batch_3"), (Cifar100, "CIFAR100", "test")]
)
def test_a_pickle_with_another_md5_is_named_and_not_opened(plugin, which, file, damage, tmp_path, monkeypatch):
    folder = write_cifar(tmp_path, monkeypatch, which)
    monkeypatch.setattr("pickle.loads", lambda content, **_: _opened(content, folder, file))
    damage(folder / file)
    with pytest.raises(InputError, match=r"must have the MD5 \w{32}, got \w{32} \(\d+ bytes\)") as error:
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
        ({"train_images": None}, "'train_images' of .*cifar100.npz must be uint8 .N, 32, 32, 3., got no such array"),
        ({"test_images": np.zeros((100, 3, 32, 32), np.uint8)}, "'test_images' of .* got uint8 .100, 3, 32, 32."),
        ({"train_fine_labels": np.zeros(200, np.float32)}, "'train_fine_labels' of .* must be int64 .N., got float32"),
        ({"train_fine_labels": np.arange(200)}, "labels must be 0 to 99, got 0 to 199"),
        ({"train_fine_labels": np.array([{}] * 200)}, "cifar100.npz must be a whole npz file, got .*pickle"),
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


@pytest.mark.parametrize("damage", [_cut, _empty, _not_idx, _broken_inside])
@pytest.mark.parametrize(("plugin", "write"), [(Cifar100, write_cifar100_arrays), (BlogFeedback, write_blogfeedback)])
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
    with pytest.raises(InputError, match="data set 'blogfeedback', train part: features must be finite"):
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
    for table, features in ((own, dataset.train_images), (raw["test"][:, :280], dataset.test_images)):
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
    rows = [BlogFeedback(split_seed=seed).load(tmp_path).train_labels.tolist() for seed in (0, 0, 1)]
    assert rows[0] == rows[1] != rows[2]
    with pytest.raises(InputError, match="split_seed must be a whole number of at least 0, got -1"):
        BlogFeedback(split_seed=-1)


def test_features_that_are_no_numbers_are_refused(tmp_path):
    table = np.ones((100, 281), dtype=np.float32)
    table[3, 4] = np.nan
    write_blogfeedback(tmp_path, test=table)
    with pytest.raises(InputError, match="data set 'blogfeedback', test part: features must be finite, got nan"):
        BlogFeedback().load(tmp_path)


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


@pytest.mark.parametrize("damage", [_cut, _empty, _not_idx, _huge_header, _unknown_type, _long])
def test_damaged_labels_of_writers_are_one_line(damage, tmp_path):
    write_mnist_like(tmp_path, "mnist")
    file = write_writers(tmp_path)
    damage(file)
    with pytest.raises(InputError, match=r"must (be an IDX file that|have \d+ bytes) .*, got \w+") as error:
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
    (folder / "train" / "z.json").write_text('{"users": ["e"], "user_data": {"e": {"x": [], "y": []}}}')
    assert int(Femnist().load(tmp_path).train_client.max()) == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "must be a json file of LEAF, got Expecting"),
        ("[]", "must be a json file of LEAF, got list"),
        ('{"users": ["a"]}', "must be a json file of LEAF, got no key 'user_data'"),
        ('{"users": ["a"], "user_data": {}}', "must be a json file of LEAF, got no key 'a'"),
        ('{"users": ["a"], "user_data": {"a": {"x": [[1, 2]], "y": [0]}}}', "got 2 pixels an image for 784"),
        ('{"users": ["a"], "user_data": {"a": {"x": [[1, 2], [3]], "y": [0, 1]}}}', "got .*inhomogeneous"),
        (f'{{"users": ["a"], "user_data": {{"a": {{"x": [{[2] * 784}], "y": [0]}}}}}}', "got pixels outside 0 to 1"),
        (
            f'{{"users": ["a"], "user_data": {{"a": {{"x": [{[0] * 784}], "y": [3.7]}}}}}}',
            "labels that are no whole numb",
        ),
        (f'{{"users": ["a"], "user_data": {{"a": {{"x": [{[0] * 784}], "y": [1e30]}}}}}}', "LEAF, got .*too large"),
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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": 3}, "classes of float32 targets must be 1, got 3"),
        ({"train_client": torch.tensor([0, 1, 3, 0])}, "train part: every client must have a row, got 3 clients"),
        ({"train_client": torch.tensor([0, 1])}, "client ids must be one int64 from 0 on for each row, got .* .2,"),
        ({"test_client": torch.tensor([0, 0, 0, 0])}, "test part: every client must have a row, got 1 clients"),
        ({"validation": (torch.zeros(2, 3), torch.zeros(2))}, "train and validation images must have one shape"),
    ],
)
def test_a_data_set_refuses_what_does_not_fit_together(changes, said):
    part = torch.zeros(4, 2), torch.zeros(4)
    with pytest.raises(InputError, match=said):
        Dataset.of("x", **({"train": part, "test": part, "classes": 1} | changes))
