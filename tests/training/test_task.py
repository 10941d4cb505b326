"""The learning task: division over clients, test sets, forms of models, invalid settings."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from helpers.idx import write_mnist_like
from helpers.synthetic import write_blogfeedback, write_femnist, write_writers

from training.data.subset import first_fraction
from training.datasets.digits import Digits
from training.models.linear import Linear
from training.structure.build import build
from training.structure.form import Form
from training.task import Partition, Task
from wirelessfl.errors import InputError


def _load(seed=0, clients=10, **fields):
    return Task(**fields).load(clients=clients, seed=seed, data_root=None)


LABELLED = tuple(
    name for name in get_args(Partition) if name != "natural"
)  # digits have no clients of their own


@pytest.mark.parametrize("partition", LABELLED)
def test_every_partition_divides_the_digits(partition):
    data = _load(partition=partition)
    joined = torch.cat(data.train_index)
    assert len(data.train_index) == len(data.test_index) == 10
    assert torch.equal(joined.sort().values, torch.arange(len(data.train_labels)))
    for index, labels in (
        (data.train_index, data.train_labels),
        (data.test_index, data.test_labels),
    ):
        assert all(
            rows.dtype == torch.int64 and len(rows) > 0 and int(rows.max()) < len(labels)
            for rows in index
        )


@pytest.mark.parametrize("partition", ["shards", "labels"])
def test_clients_are_tested_on_all_of_their_classes_and_no_other(partition):
    data = _load(partition=partition)
    for train, test in zip(data.train_index, data.test_index, strict=True):
        own = data.train_labels[train].unique()
        assert torch.equal(test, torch.isin(data.test_labels, own).nonzero().flatten())


def test_iid_clients_share_the_whole_test_set():
    data = _load(partition="iid")
    assert torch.equal(data.test_index[0], torch.arange(len(data.test_labels)))
    assert len({rows.data_ptr() for rows in data.test_index}) == 1


def test_dirichlet_clients_divide_the_test_set():
    data = _load(partition="dirichlet")
    assert torch.equal(
        torch.cat(data.test_index).sort().values, torch.arange(len(data.test_labels))
    )


def test_settings_of_a_partition_reach_it():
    three = _load(partition="labels", labels_per_client=3)
    assert {len(three.train_labels[rows].unique()) for rows in three.train_index} == {3}
    one = _load(partition="shards", shards_per_client=1)
    assert max(len(one.train_labels[rows].unique()) for rows in one.train_index) <= 2
    even = _load(partition="dirichlet", dirichlet_alpha=1e6)
    assert max(map(len, even.train_index)) - min(map(len, even.train_index)) <= 10


@pytest.mark.parametrize("partition", LABELLED)
def test_the_same_seed_gives_the_same_partition(partition):
    first, again, other = (_load(seed=seed, partition=partition) for seed in (4, 4, 5))
    assert all(map(torch.equal, first.train_index, again.train_index))
    assert all(map(torch.equal, first.test_index, again.test_index))
    assert not all(map(torch.equal, first.train_index, other.train_index))


def test_the_28x28_tasks_load_from_the_data_root(tmp_path):
    write_mnist_like(tmp_path, "mnist")
    data = Task(dataset="mnist", model="mnist-cnn").load(clients=5, seed=0, data_root=tmp_path)
    assert data.train_images.shape == (200, 1, 28, 28)
    assert data.classes == 10


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"dataset": "digit"}, "dataset 'digit' is not known .did you mean 'digits'"),
        ({"model": "mnist_cnn"}, "model 'mnist_cnn' is not known .did you mean 'mnist-cnn'"),
        (
            {"partition": "by-label"},
            "partition must be one of iid, shards, labels, dirichlet, natural; got 'by-label'",
        ),
        (
            {"labels_per_client": 0},
            "training.labels_per_client must be a whole number of at least 1, got 0",
        ),
        (
            {"labels_per_client": 1.5},
            "training.labels_per_client must be a whole number of at least 1, got 1.5",
        ),
        (
            {"shards_per_client": -1},
            "training.shards_per_client must be a whole number of at least 1, got -1",
        ),
        (
            {"batch_size": True},
            "training.batch_size must be a whole number of at least 1, got True",
        ),
        ({"dirichlet_alpha": 0}, "training.dirichlet_alpha must be above 0, got 0"),
        ({"dirichlet_alpha": float("inf")}, "training.dirichlet_alpha must be finite, got inf"),
        (
            {"partition": "iid", "size_sigma": -0.1},
            "training.size_sigma must be at least 0, got -0.1",
        ),
        ({"partition": "iid", "size_sigma": 6.0}, "training.size_sigma must be at most 5, got 6"),
        (
            {"size_sigma": 0.3},
            "must be 0 unless training.partition is iid or dirichlet, got 0.3 with 'labels'",
        ),
        (
            {"augmentation": "crop"},
            "training.augmentation must be one of none, crop-flip; got 'crop'",
        ),
        ({"image_size": 0}, "training.image_size must be a whole number of at least 1, got 0"),
        (
            {"image_channels": 1.0},
            "training.image_channels must be a whole number of at least 1, got 1.0",
        ),
        ({"width": 1.5}, "training.width must be at most 1, got 1.5"),
        ({"width": 0}, "training.width must be above 0, got 0"),
        (
            {"evaluate_on": "train"},
            "training.evaluate_on must be one of test, validation; got 'train'",
        ),
        (
            {"label_choice": "random"},
            "training.label_choice must be one of balanced, uniform; got 'random'",
        ),
        ({"train_fraction": 0}, "training.train_fraction must be above 0, got 0"),
        ({"train_fraction": 1.1}, "training.train_fraction must be at most 1, got 1.1"),
        (
            {"without": ("lrn",)},
            r"without must name parts that model 'digits-cnn' can leave out .it has none., each "
            r"once, got 'lrn'",
        ),
        (
            {"model": "alexnet-like", "without": ("lrn", "norm")},
            r"without must name parts that model 'alexnet-like' can leave out .lrn, elu-logits., "
            r"each once, got 'norm'",
        ),
        ({"model": "alexnet-like", "without": ("lrn", "lrn")}, "each once, got 'lrn'"),
        ({"tested_on": "all"}, "training.tested_on must be one of own, whole; got 'all'"),
        (
            {"train_samples": 0},
            "training.train_samples must be a whole number of at least 1, got 0",
        ),
        (
            {"partition": "natural", "test_samples": 5},
            "training.test_samples must not be given with training.partition 'natural', whose "
            "clients .* got 5",
        ),
    ],
)
def test_bad_fields_are_refused_at_once(fields, said):
    with pytest.raises(InputError, match=said):
        Task(**fields)


@pytest.mark.parametrize(
    ("fields", "clients", "said"),
    [
        (
            {"model": "mnist-cnn"},
            10,
            r"training.model 'mnist-cnn' must fit data set 'digits' with images \(1, 8, 8\)",
        ),
        ({"labels_per_client": 11}, 10, "training.labels_per_client must be at most 10, got 11"),
        (
            {"labels_per_client": 11, "label_choice": "uniform"},
            10,
            "labels_per_client must be at most 10, got 11",
        ),
        (
            {"partition": "iid"},
            1443,
            "scenario.clients must be at most 1442 .training samples., got 1443",
        ),
        (
            {"partition": "natural"},
            5,
            "'natural' must have a data set with clients of its own, got 'digits'",
        ),
        (
            {"evaluate_on": "validation"},
            5,
            "evaluate_on must be 'test' for data set 'digits', .*, got 'validation'",
        ),
        (
            {"image_size": 7},
            10,
            r"training.image_size must be at least .* data set 'digits', \(1, 8, 8\), got 7",
        ),
        (
            {"train_samples": 1443},
            10,
            r"train_samples must be at most 1442 .rows of the data set., got 1443",
        ),
        (
            {"test_samples": 356},
            10,
            r"test_samples must be at most 355 .rows of the data set., got 356",
        ),
        (
            {"train_samples": 9, "partition": "iid"},
            10,
            r"scenario.clients must be at most 9 .*, got 10",
        ),
        ({}, 0, "clients must be a whole number of at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused_at_load(fields, clients, said):
    with pytest.raises(InputError, match=said):
        _load(clients=clients, **fields)


def test_sizes_and_augmentation_reach_the_data():
    data = _load(partition="dirichlet", size_sigma=0.5, augmentation="crop-flip")
    sizes = [len(rows) for rows in data.train_index]
    assert sum(sizes) == 1442
    assert max(sizes) > 1.5 * min(sizes)
    assert data.augmentation == "crop-flip"
    assert _load().augmentation == "none"


def test_label_counts_are_those_of_the_clients_rows():
    data = _load(partition="labels")
    counts = data.label_counts()
    assert counts.shape == (10, 10)
    for rows, row in zip(data.train_index, counts, strict=True):
        assert row.tolist() == data.train_labels[rows].bincount(minlength=10).tolist()


def test_writers_are_clients_and_share_the_test_set(tmp_path):
    write_mnist_like(tmp_path, "mnist")
    write_writers(tmp_path)
    task = Task(dataset="qmnist-writers", model="mnist-cnn", partition="natural")
    data = task.load(clients=3, seed=1, data_root=tmp_path)
    for rows in data.train_index:
        assert len({int(row) % 7 for row in rows}) == 1
    assert data.test_index[0] is data.test_index[2]
    assert len(data.test_index[0]) == 100
    with pytest.raises(
        InputError, match=r"scenario.clients must be at most 7 .natural .* 'qmnist-writers'"
    ):
        task.load(clients=8, seed=1, data_root=tmp_path)


def test_users_of_leaf_are_tested_on_their_own_images(tmp_path):
    write_femnist(tmp_path)
    task = Task(dataset="femnist", model="mnist-cnn", partition="natural")
    data = task.load(clients=2, seed=0, data_root=tmp_path)
    for train, test in zip(data.train_index, data.test_index, strict=True):
        assert torch.equal(data.train_images[train].unique(), data.test_images[test].unique())


def test_blogs_are_clients_of_a_regression(tmp_path):
    write_blogfeedback(tmp_path)
    task = Task(dataset="blogfeedback", model="linear", partition="natural")
    data = task.load(clients=4, seed=0, data_root=tmp_path)
    assert sum(map(len, data.train_index)) == 180
    assert data.label_counts().tolist() == [[len(rows)] for rows in data.train_index]
    assert len(data.test_labels) == 100
    held_out = replace(task, evaluate_on="validation").load(clients=4, seed=0, data_root=tmp_path)
    assert len(held_out.test_labels) == 20
    assert torch.equal(held_out.train_images, data.train_images)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"partition": "labels"},
            "partition must be iid or natural for data set 'blogfeedback', whose targets",
        ),
        (
            {"augmentation": "crop-flip"},
            "augmentation must be 'none' for data set 'blogfeedback', whose inputs",
        ),
        ({"model": "mnist-cnn"}, "training.model 'mnist-cnn' must fit data set 'blogfeedback'"),
    ],
)
def test_what_a_regression_cannot_do(fields, said, tmp_path):
    write_blogfeedback(tmp_path)
    with pytest.raises(InputError, match=said):
        Task(
            **{"dataset": "blogfeedback", "model": "linear", "partition": "natural"} | fields
        ).load(clients=4, seed=0, data_root=tmp_path)


def test_a_classifier_is_no_regression(tmp_path, monkeypatch):
    write_blogfeedback(tmp_path)
    monkeypatch.setattr(Linear, "loss", "cross-entropy")
    with pytest.raises(
        InputError,
        match=r"training.model 'linear' must predict numbers for data set 'blogfeedback'",
    ):
        Task(dataset="blogfeedback", model="linear", partition="iid").load(
            clients=4, seed=0, data_root=tmp_path
        )


def test_images_are_framed_for_the_model_and_normalised_as_without():
    plain, large = _load(), _load(model="resnet20", image_size=32, image_channels=3)
    assert large.train_images.shape == (1442, 3, 32, 32)
    assert large.test_images.shape == (355, 3, 32, 32)
    assert torch.equal(large.train_images[:, 2, 12:20, 12:20], plain.train_images[:, 0])
    assert (large.mean, large.std) == (plain.mean, plain.std)
    assert all(map(torch.equal, large.train_index, plain.train_index))


def test_fewer_samples_keep_the_shares_of_the_classes_and_are_drawn_by_the_seed():
    whole = Digits().load()
    few, again = (_load(partition="iid", train_samples=300, test_samples=50) for _ in range(2))
    assert sum(map(len, few.train_index)) == len(few.train_labels) == 300
    assert len(few.test_labels) == 50
    assert (few.mean, few.std) == (whole.mean, whole.std)
    for labels, every in (
        (few.train_labels, whole.train_labels),
        (few.test_labels, whole.test_labels),
    ):
        expected = every.bincount(minlength=10) * len(labels) / len(every)
        assert float((labels.bincount(minlength=10) - expected).abs().max()) <= 1
    assert torch.equal(few.train_images, again.train_images)
    assert not torch.equal(
        few.train_images, _load(seed=1, partition="iid", train_samples=300).train_images
    )
    assert torch.equal(few.train_images, _load(partition="iid", train_samples=300).train_images)
    rows = {image.numpy().tobytes() for image in whole.train_images}
    chosen = {image.numpy().tobytes() for image in few.train_images}
    assert chosen <= rows
    assert len(chosen) == 300


def test_fewer_samples_of_a_regression(tmp_path):
    write_blogfeedback(tmp_path)
    task = Task(
        dataset="blogfeedback", model="linear", partition="iid", train_samples=60, test_samples=10
    )
    data = task.load(clients=4, seed=0, data_root=tmp_path)
    assert (len(data.train_labels), len(data.test_labels)) == (60, 10)


@pytest.mark.parametrize("partition", LABELLED)
def test_a_fraction_is_the_first_rows_of_each_class_on_each_client(partition):
    whole, fifth = _load(partition=partition), _load(partition=partition, train_fraction=0.2)
    counts = whole.label_counts()
    expected = np.where(counts > 0, np.maximum(1, counts // 5), 0)
    assert np.array_equal(fifth.label_counts(), expected)
    for every, kept in zip(whole.train_index, fifth.train_index, strict=True):
        for label in range(10):
            own = every[whole.train_labels[every] == label]
            mine = kept[fifth.train_labels[kept] == label]
            assert torch.equal(mine, own[: len(mine)])
    assert all(map(torch.equal, whole.test_index, fifth.test_index))
    assert torch.equal(whole.train_images, fifth.train_images)


def test_a_fraction_that_is_no_binary_number_is_rounded_as_people_do():
    labels, index = torch.zeros(100, dtype=torch.int64), [np.arange(100)]
    assert [
        len(first_fraction(labels, index, fraction)[0])
        for fraction in (0.29, 0.57, 0.2, 0.999, 1.0)
    ] == [
        29,
        57,
        20,
        99,
        100,
    ]


def test_a_fraction_of_a_regression(tmp_path):
    write_blogfeedback(tmp_path)
    task = Task(dataset="blogfeedback", model="linear", partition="natural", train_fraction=0.5)
    data = task.load(clients=4, seed=0, data_root=tmp_path)
    every = replace(task, train_fraction=1.0).load(clients=4, seed=0, data_root=tmp_path)
    for kept, rows in zip(data.train_index, every.train_index, strict=True):
        assert torch.equal(kept, rows[: len(rows) // 2])


def test_uniform_labels_reach_the_partition_and_fewer_test_samples_too():
    data = _load(label_choice="uniform", labels_per_client=3, clients=20, test_samples=60)
    holders = (data.label_counts() > 0).sum(axis=0)
    assert holders.max() - holders.min() > 1
    assert len(data.test_labels) == 60
    for train, test in zip(data.train_index, data.test_index, strict=True):
        own = data.train_labels[train].unique()
        assert len(own) == 3
        assert torch.equal(test, torch.isin(data.test_labels, own).nonzero().flatten())
    assert not np.array_equal(
        data.label_counts(), _load(labels_per_client=3, clients=20).label_counts()
    )


def test_parts_are_left_out_of_the_model_by_its_form():
    task = Task(dataset="cifar10", model="alexnet-like", without=("lrn",), width=0.25)
    assert task.form == Form(input_shape=(3, 32, 32), classes=10, width=0.25, without=("lrn",))
    assert build(task.model, task.form).without == ("lrn",)


@pytest.mark.parametrize("partition", ["labels", "dirichlet"])
def test_one_global_model_is_tested_on_the_whole_test_set(partition):
    data = _load(partition=partition, tested_on="whole")
    own = _load(partition=partition)
    assert all(torch.equal(rows, torch.arange(355)) for rows in data.test_index)
    assert len({rows.data_ptr() for rows in data.test_index}) == 1
    assert all(map(torch.equal, data.train_index, own.train_index))


def test_the_form_is_known_before_the_data_are_read():
    assert Task().form == Form(input_shape=(1, 8, 8), classes=10)
    assert Task(dataset="cifar100", model="vgg16", width=0.5).form == Form(
        input_shape=(3, 32, 32), classes=100, width=0.5
    )
    assert Task(dataset="femnist", model="logistic").form == Form(
        input_shape=(1, 28, 28), classes=62
    )
    assert Task(dataset="fashion-mnist", model="resnet20", image_size=32).form.input_shape == (
        1,
        32,
        32,
    )
    with pytest.raises(
        InputError, match=r"training.model 'cnn' must fit data set 'cifar10' with images"
    ):
        _ = Task(dataset="cifar10", model="cnn").form


@pytest.mark.parametrize(
    ("fields", "clients", "steps"),
    [
        ({"dataset": "mnist", "batch_size": 128}, 10, 47),  # 6,000 samples
        ({"dataset": "mnist", "batch_size": 100}, 10, 60),
        ({"dataset": "mnist", "batch_size": 128}, 100_000, 1),
        ({"dataset": "mnist", "batch_size": 32, "train_samples": 2000}, 10, 7),
        (
            {"dataset": "qmnist-writers", "partition": "natural", "batch_size": 10},
            100,
            12,
        ),  # a writer has 111
        ({"dataset": "femnist", "partition": "natural", "batch_size": 10}, 100, 21),
        ({"dataset": "mnist", "batch_size": 100, "train_fraction": 0.2}, 10, 12),
        ({"dataset": "mnist", "train_fraction": 1e-9}, 10, 1),
    ],
)
def test_the_nominal_epoch_has_equal_shares_or_the_mean_of_natural_clients(fields, clients, steps):
    assert Task(**fields).nominal_epoch(clients) == steps


def test_an_epoch_of_unknown_length_is_refused_in_one_line():
    with pytest.raises(
        InputError, match=r"training.dataset 'femnist' does not tell its samples before it is read"
    ):
        Task(dataset="femnist", partition="iid").nominal_epoch(10)


def test_a_data_set_without_a_card_is_for_models_of_its_own_form(monkeypatch):
    monkeypatch.delattr(Digits, "card")
    monkeypatch.setattr("training.task.known_form", lambda dataset: None)
    assert Task().form == Form()
    assert _load().classes == 10
    with pytest.raises(
        InputError, match="data set 'digits' must have a card with its shape and classes"
    ):
        _load(model="mnist-cnn", image_size=28, image_channels=3)


def test_symmetric_pixels_reach_from_minus_one_to_one():
    task = Task(pixels="symmetric")
    data = task.load(clients=2, seed=0, data_root=None)
    for images in (data.train_images, data.test_images):
        normalised = (images.float() - data.mean) / data.std
        assert (normalised.min(), normalised.max()) == (-1.0, 1.0)
    usual = replace(task, pixels="standardised").load(clients=2, seed=0, data_root=None)
    assert usual.mean != data.mean
    assert usual.train_images.equal(data.train_images)


def test_inputs_that_are_no_images_have_no_pixels(tmp_path):
    write_blogfeedback(tmp_path)
    task = Task(dataset="blogfeedback", model="linear", partition="iid", pixels="symmetric")
    with pytest.raises(
        InputError, match=r"training.pixels must be 'standardised' .*no images; got 'symmetric'"
    ):
        task.load(clients=2, seed=0, data_root=tmp_path)
    with pytest.raises(InputError, match=r"training\.pixels must be one of"):
        Task(pixels="grey")
