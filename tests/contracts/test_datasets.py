"""Contract of every data set."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from helpers.synthetic import write_all

from training.data.card import Card
from wirelessfl import plugins
from wirelessfl.errors import InputError


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as monkeypatch:
        write_all(root, monkeypatch)
        yield root


@pytest.fixture(params=plugins.names("datasets"))
def plugin(request):
    return plugins.load("datasets", request.param)


@pytest.fixture
def dataset(plugin, data_root):
    return plugin().load(data_root)


def _parts(dataset):
    train = (dataset.train_images, dataset.train_labels)
    test = (dataset.test_images, dataset.test_labels)
    return (train, test) if dataset.validation is None else (train, test, dataset.validation)


def test_inputs_are_bytes_or_features_and_targets_classes_or_numbers(dataset):
    for images, labels in _parts(dataset):
        assert (images.dtype, images.ndim) in ((torch.uint8, 4), (torch.float32, 2))
        assert labels.shape == images.shape[:1]
        assert images.shape[1:] == dataset.train_images.shape[1:]
        assert images.is_contiguous()
        if dataset.is_labelled:
            assert labels.dtype == torch.int64
            assert sorted(set(labels.tolist())) == list(range(dataset.classes))
        else:
            assert (labels.dtype, dataset.classes) == (torch.float32, 1)


def test_classes_have_their_names(plugin):
    card = getattr(plugin, "card", None)
    if card is None or not card.class_names:
        assert plugins.name_of(plugin) in ("blogfeedback", "cifar100")
        return
    assert len(set(card.class_names)) == card.classes
    with pytest.raises(InputError, match=r"must name all of its \d+ classes, got 1 names$"):
        dataclasses.replace(card, class_names=("one",))


def test_normalised_training_pixels_have_mean_0_and_deviation_1(dataset):
    if dataset.train_images.dtype != torch.uint8:
        assert (dataset.mean, dataset.std) == (0.0, 1.0)
        return
    normalised = (dataset.train_images.double() - dataset.mean) / dataset.std
    assert float(normalised.mean()) == pytest.approx(0, abs=1e-10)
    assert float(normalised.std(correction=0)) == pytest.approx(1, rel=1e-10)


def test_natural_clients_are_numbered_without_gaps(dataset):
    for client, labels in (
        (dataset.train_client, dataset.train_labels),
        (dataset.test_client, dataset.test_labels),
    ):
        if client is not None:
            assert client.dtype == torch.int64
            assert client.shape == labels.shape
            assert torch.equal(client.unique(), torch.arange(int(dataset.train_client.max()) + 1))


def test_the_card_fits_what_is_loaded(plugin, dataset, data_root):
    card: Card = plugin.card
    assert card.name == plugins.name_of(plugin)
    assert card.shape == tuple(dataset.train_images.shape[1:])
    assert card.classes == dataset.classes
    assert card.origin
    assert not card.places or card.found(data_root) is not None


def test_loading_twice_gives_the_same(plugin, dataset, data_root):
    for part, again in zip(_parts(dataset), _parts(plugin().load(data_root)), strict=True):
        assert all(map(torch.equal, part, again))


@pytest.mark.parametrize("name", plugins.names("datasets"))
def test_settings_are_the_object_itself(name):
    dataset = plugins.load("datasets", name)
    assert dataset() == dataset()
    assert dataclasses.is_dataclass(dataset)
    assert plugins.name_of(dataset) == name


def _complaint(name: str, data_root: Path) -> str | None:
    try:
        plugins.load("datasets", name)().load(data_root)
    except InputError as error:
        return str(error)
    return None


@pytest.mark.parametrize("name", plugins.names("datasets"))
def test_an_empty_folder_is_enough_or_is_named_in_one_line(name, tmp_path):
    complaint = _complaint(name, tmp_path)
    assert complaint is None or (
        repr(name) in complaint and str(tmp_path) in complaint and "\n" not in complaint
    )


def test_every_file_that_misses_is_named(plugin, data_root):
    place = plugin.card.found(data_root)
    for file in place or ():
        away = data_root / "away"
        (data_root / file).rename(away)
        complaint = _complaint(plugin.card.name, data_root)
        assert complaint is not None
        assert Path(file).name in complaint.partition("missing: ")[2] or len(plugin.card.places) > 1
        assert "\n" not in complaint
        away.rename(data_root / file)
