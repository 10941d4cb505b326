import pytest
import torch
from helpers.idx import write_mnist_like

from training.task import PARTITIONS, Task
from wirelessfl.errors import InputError


def _load(seed=0, clients=10, **fields):
    return Task(**fields).load(clients=clients, seed=seed, data_root=None)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_every_partition_divides_the_digits(partition):
    data = _load(partition=partition)
    joined = torch.cat(data.train_index)
    assert len(data.train_index) == len(data.test_index) == 10
    assert torch.equal(joined.sort().values, torch.arange(len(data.train_labels)))
    for index, labels in ((data.train_index, data.train_labels), (data.test_index, data.test_labels)):
        assert all(rows.dtype == torch.int64 and len(rows) > 0 and int(rows.max()) < len(labels) for rows in index)


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
    assert torch.equal(torch.cat(data.test_index).sort().values, torch.arange(len(data.test_labels)))


def test_settings_of_a_partition_reach_it():
    three = _load(partition="labels", labels_per_client=3)
    assert {len(three.train_labels[rows].unique()) for rows in three.train_index} == {3}
    one = _load(partition="shards", shards_per_client=1)
    assert max(len(one.train_labels[rows].unique()) for rows in one.train_index) <= 2
    even = _load(partition="dirichlet", dirichlet_alpha=1e6)
    assert max(map(len, even.train_index)) - min(map(len, even.train_index)) <= 10


@pytest.mark.parametrize("partition", PARTITIONS)
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
        ({"partition": "by-label"}, "training.partition must be one of iid, shards, labels, dirichlet; got 'by-label'"),
        ({"labels_per_client": 0}, "training.labels_per_client must be a whole number of at least 1, got 0"),
        ({"labels_per_client": 1.5}, "training.labels_per_client must be a whole number of at least 1, got 1.5"),
        ({"shards_per_client": -1}, "training.shards_per_client must be a whole number of at least 1, got -1"),
        ({"batch_size": True}, "training.batch_size must be a whole number of at least 1, got True"),
        ({"dirichlet_alpha": 0}, "training.dirichlet_alpha must be above 0, got 0"),
        ({"dirichlet_alpha": float("inf")}, "training.dirichlet_alpha must be finite, got inf"),
    ],
)
def test_bad_fields_are_refused_at_once(fields, said):
    with pytest.raises(InputError, match=said):
        Task(**fields)


@pytest.mark.parametrize(
    ("fields", "clients", "said"),
    [
        ({"model": "mnist-cnn"}, 10, r"training.model 'mnist-cnn' must fit data set 'digits' with images \(1, 8, 8\)"),
        ({"labels_per_client": 11}, 10, "training.labels_per_client must be at most 10, got 11"),
        ({"partition": "iid"}, 1443, "clients must be at most 1442 .training samples., got 1443"),
        ({}, 0, "clients must be a whole number of at least 1, got 0"),
    ],
)
def test_what_does_not_fit_is_refused_at_load(fields, clients, said):
    with pytest.raises(InputError, match=said):
        _load(clients=clients, **fields)
