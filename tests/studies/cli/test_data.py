"""`wirelessfl data`: list, downloads, and the table and figure of a partition."""

import json

import numpy as np
import pytest
from helpers import plugin_folder
from helpers.cli import call
from helpers.idx import write_mnist_like
from helpers.synthetic import write_blogfeedback, write_cifar100_arrays, write_writers

from training.datasets.blogfeedback import BlogFeedback
from training.datasets.mnist import Mnist
from training.task import Task
from wirelessfl import plugins


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    """`wirelessfl data ARGUMENTS` in an empty folder, with no folder of data sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WIRELESSFL_DATA", raising=False)
    return lambda *arguments: call(capsys, monkeypatch, "data", *arguments)


def test_every_data_set_is_listed_with_where_it_is(wirelessfl, tmp_path):
    write_mnist_like(tmp_path, "mnist")
    write_writers(tmp_path)
    write_cifar100_arrays(tmp_path)
    rows = {
        row["name"]: row for row in wirelessfl("list", "--data-root", tmp_path, "--json").json()
    }
    assert list(rows) == plugins.names("datasets")
    assert rows["mnist"]["found"] == ["MNIST/raw"]
    assert rows["qmnist-writers"]["found"] == ["MNIST/raw", "QMNIST/raw"]
    assert rows["cifar100"]["found"] == ["cifar100.npz"]
    assert rows["cifar10"]["found"] == []
    assert rows["digits"]["embedded"]
    assert (rows["mnist"]["train"], rows["mnist"]["shape"], rows["mnist"]["classes"]) == (
        60000,
        [1, 28, 28],
        10,
    )
    printed = wirelessfl("list", "--data-root", tmp_path)
    assert printed.status == 0
    assert "60,000" in printed.out
    assert "wirelessfl data fetch cifar10" in printed.out
    assert "wirelessfl data fetch mnist" not in printed.out


def test_without_a_folder_nothing_is_found(wirelessfl):
    assert not any(row["found"] for row in wirelessfl("list", "--json").json())
    assert "give --data-root or set WIRELESSFL_DATA" in wirelessfl("list").out


def test_a_data_set_from_outside_without_a_card_is_listed(wirelessfl, monkeypatch, tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "own_set.py").write_text("class OwnSet:\n    pass\n")
    monkeypatch.setenv("WIRELESSFL_PLUGINS", str(tmp_path))
    row = next(row for row in wirelessfl("list", "--json").json() if row["name"] == "own-set")
    assert row["train"] is row["shape"] is None
    assert "own-set: from outside" in wirelessfl("list").out
    assert (
        "'own-set' cannot be fetched: the plug-in has no method fetch"
        in wirelessfl("fetch", "own-set").err
    )


def test_fetching_goes_to_the_folder_named(wirelessfl, monkeypatch, tmp_path):
    monkeypatch.setattr(Mnist, "fetch", lambda _self, root: write_mnist_like(root, "mnist"))
    printed = wirelessfl("fetch", "mnist", "--data-root", tmp_path / "new")
    assert printed.out == f"mnist is in {tmp_path / 'new'}\n"
    assert len(Mnist().load(tmp_path / "new").train_labels) == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fetch"], ["NAME"]),
        (["fetch", "mnst"], ["'mnst' is not known", "mnist"]),
        (["fetch", "mnist"], ["'mnist' needs a folder", "--data-root"]),
        (["fetch", "digits"], ["'digits' cannot be fetched", "scikit-learn"]),
        (
            ["fetch", "blogfeedback", "--data-root", "."],
            ["'blogfeedback' cannot be fetched", "UCI"],
        ),
        (["fetch", "femnist", "--data-root", "."], ["'femnist' cannot be fetched", "LEAF"]),
        (["show", "nothing"], ["SCENARIO", "'nothing'"]),
        (["show", "--plot", "p.txt"], ["--plot", ".png", "p.txt"]),
        (["show", "--set", "training.partition=dirichle"], ["training.partition", "dirichlet"]),
        (
            ["show", "--set", "scenario.clients=5000", "--set", "training.partition=iid"],
            ["clients", "1442", "5000"],
        ),
        (["show", "--set", "training.size_sigma=0.3"], ["training.size_sigma", "labels"]),
        (["show", "wfl-mnist"], ["'mnist' needs a folder", "--data-root"]),
        (["show", "wfl-mnist", "--data-root", "."], ["'mnist' must have its files", "fetch mnist"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, words, wirelessfl, tmp_path):
    ended = wirelessfl(*arguments)
    assert (ended.status, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("error: ")
    assert all(word in ended.err for word in words), ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left"), RuntimeError("File not found\nor corrupted.")]
)
def test_a_fetch_that_fails_is_one_line(error, wirelessfl, monkeypatch, tmp_path):
    def fail(_self, _root):
        raise error

    monkeypatch.setattr(Mnist, "fetch", fail)
    ended = wirelessfl("fetch", "mnist", "--data-root", tmp_path)
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1
    assert f"could not be fetched into {tmp_path}: " in ended.err


def test_the_partition_shown_is_the_one_that_is_trained_on(wirelessfl, tmp_path):
    settings = (
        "--set",
        "training.partition=dirichlet",
        "--set",
        "scenario.clients=6",
        "--set",
        "run.seed=3",
    )
    found = wirelessfl("show", *settings, "--plot", "p.png", "--json").json()
    assert (found["dataset"], found["partition"], found["seed"], found["provenance"]) == (
        "digits",
        "dirichlet",
        3,
        "",
    )
    data = Task(dataset="digits", partition="dirichlet").load(clients=6, seed=3, data_root=None)
    for client, row in enumerate(found["clients"]):
        labels = data.train_labels[data.train_index[client]].numpy()
        counts = np.bincount(labels, minlength=10)
        assert row["client"] == client
        assert row["samples"] == len(labels)
        assert row["test_samples"] == len(data.test_index[client])
        assert row["label_counts"] == counts.tolist()
        assert row["labels_held"] == len(set(labels.tolist()))
        assert row["top_label"] == int(counts.argmax())
        assert row["top_share"] == pytest.approx(counts.max() / len(labels))
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    printed = wirelessfl("show", *settings)
    assert "top share" in printed.out
    assert "6 clients, 1442 samples" in printed.out


def test_a_regression_and_what_its_data_are(wirelessfl, monkeypatch, tmp_path):
    write_blogfeedback(tmp_path)
    settings = [("dataset", "blogfeedback"), ("model", "linear"), ("partition", "natural")]
    arguments = [item for name, value in settings for item in ("--set", f"training.{name}={value}")]
    arguments += [
        "--set",
        "scenario.clients=4",
        "--set",
        "training.algorithm=pruning-only",
        "--data-root",
        tmp_path,
    ]
    load = BlogFeedback.load

    def marked(self, root):
        dataset = load(self, root)
        object.__setattr__(dataset, "provenance", "made up")
        return dataset

    monkeypatch.setattr(BlogFeedback, "load", marked)
    found = wirelessfl("show", *arguments, "--plot", "p.svg", "--json").json()
    assert sum(row["samples"] for row in found["clients"]) == 180
    assert {row["labels_held"] for row in found["clients"]} == {None}
    assert found["provenance"] == "made up"
    assert (tmp_path / "p.svg").exists()
    assert "data: made up" in wirelessfl("show", *arguments).out


def test_an_algorithm_that_divides_no_data_has_no_partition(wirelessfl, monkeypatch):
    plugin_folder.use(monkeypatch)
    ended = wirelessfl(
        "show", "--set", "training.algorithm=counting", "--set", "training.partition=iid"
    )
    assert ended.status == 2
    assert (
        ended.err
        == "error: training.algorithm must be one whose task divides data, got 'counting'\n"
    )


def test_the_model_need_not_fit(wirelessfl):
    assert wirelessfl("show", "--set", "training.model=mnist-cnn").status == 0


@pytest.mark.parametrize("clients", [1, 300])
def test_pictures_of_one_and_of_many_clients(clients, wirelessfl, tmp_path):
    settings = ("--set", f"scenario.clients={clients}", "--set", "training.partition=iid")
    assert (
        json.loads(wirelessfl("show", *settings, "--plot", "p.pdf", "--json").out)["partition"]
        == "iid"
    )
    assert (tmp_path / "p.pdf").read_bytes().startswith(b"%PDF")
