"""Downloads: torn files are fetched again, failures leave nothing, sources are https with MD5."""

import re

import pytest
from helpers.cli import call
from helpers.idx import write_mnist_like

from training.data.idx import FILES, MIRRORS
from training.data.torchvision_shim import torchvision
from training.datasets.mnist import Mnist


@pytest.fixture
def fetch(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("WIRELESSFL_DATA", raising=False)
    root = tmp_path / "data"
    return lambda: call(capsys, monkeypatch, "data", "fetch", "mnist", "--data-root", root)


def test_a_torn_file_is_fetched_again(fetch, monkeypatch, tmp_path):
    root = tmp_path / "data"
    fetched = []

    def download(_self, folder):
        raw = folder / "MNIST/raw"
        if all((raw / file).exists() for file in FILES):  # as torchvision, which looks no further
            return
        fetched.append(folder)
        write_mnist_like(folder, "mnist")

    monkeypatch.setattr(Mnist, "fetch", download)
    assert fetch().status == 0
    torn = root / "MNIST/raw" / FILES[0]
    torn.write_bytes(torn.read_bytes()[:-100])
    assert fetch().status == 0
    assert len(Mnist().load(root).train_labels) == 200
    assert fetch().status == 0
    assert len(fetched) == 2


def test_a_failed_fetch_leaves_nothing(fetch, monkeypatch, tmp_path):
    def fail(_self, root):
        (root / "MNIST" / "raw").mkdir(parents=True)
        (root / "MNIST" / "raw" / "torn.gz").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Mnist, "fetch", fail)
    ended = fetch()
    assert ended.status == 2
    assert list(tmp_path.iterdir()) == []
    mine = tmp_path / "data" / "mine"
    mine.mkdir(parents=True)
    assert fetch().status == 2
    assert list((tmp_path / "data").iterdir()) == [mine]


def test_sources_are_https_with_checksums():
    datasets = torchvision().datasets
    for name, mirrors in MIRRORS.items():
        assert all(mirror.startswith("https://") for mirror in mirrors)
        assert all(
            re.fullmatch("[0-9a-f]{32}", md5) for _, md5 in getattr(datasets, name).resources
        )
    for known in (datasets.CIFAR10, datasets.CIFAR100):
        assert known.url.startswith("https://")
        assert re.fullmatch("[0-9a-f]{32}", known.tgz_md5)
    url, md5 = datasets.QMNIST.resources["train"][1]
    assert url.startswith("https://")
    assert re.fullmatch("[0-9a-f]{32}", md5)
