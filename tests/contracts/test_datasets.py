"""What every data set keeps."""

from pathlib import Path

import pytest
import torch
from helpers.idx import FOLDERS, write_mnist_like

from wirelessfl import plugins
from wirelessfl.errors import InputError


@pytest.fixture
def data_root(tmp_path: Path) -> Path:
    for name in FOLDERS:
        write_mnist_like(tmp_path, name)
    return tmp_path


@pytest.fixture(params=plugins.names("datasets"))
def dataset(request, data_root):
    return plugins.load("datasets", request.param)().load(data_root)


def test_images_are_bytes_and_labels_are_classes(dataset):
    for images, labels in (
        (dataset.train_images, dataset.train_labels),
        (dataset.test_images, dataset.test_labels),
    ):
        assert images.dtype == torch.uint8
        assert images.ndim == 4
        assert labels.dtype == torch.int64
        assert labels.shape == images.shape[:1]
        assert sorted(set(labels.tolist())) == list(range(dataset.classes))
    assert dataset.train_images.shape[1:] == dataset.test_images.shape[1:]


def test_normalised_training_pixels_have_mean_0_and_deviation_1(dataset):
    normalised = (dataset.train_images.double() - dataset.mean) / dataset.std
    assert float(normalised.mean()) == pytest.approx(0, abs=1e-10)
    assert float(normalised.std(correction=0)) == pytest.approx(1, rel=1e-10)


@pytest.mark.parametrize("name", plugins.names("datasets"))
def test_settings_are_the_object_itself(name):
    dataset = plugins.load("datasets", name)
    assert dataset() == dataset()
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
    assert complaint is None or (repr(name) in complaint and str(tmp_path) in complaint and "\n" not in complaint)
