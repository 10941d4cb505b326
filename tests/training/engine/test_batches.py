"""Mini-batches: augmentation, normalisation, selections and gathered batches."""

from dataclasses import replace

import pytest
import torch
from helpers.federation import made_up_data

from training.data.augment import crop_flip
from training.engine import batches
from training.engine.batches import Batches
from training.engine.program import SampleSelection

CPU = torch.device("cpu")


def test_augmentation_changes_images_and_no_draw_of_samples():
    data = made_up_data()
    plain, augmented = (
        list(Batches(replace(data, augmentation=name), 16, CPU).steps(1, 5, 4))
        for name in ("none", "crop-flip")
    )
    changes = torch.Generator().manual_seed(5 + 1)
    for (images, labels), (changed, same) in zip(plain, augmented, strict=True):
        assert torch.equal(labels, same)
        raw = (images * data.std + data.mean).round().to(torch.uint8)
        expected = (crop_flip(raw, changes).float() - data.mean) / data.std
        torch.testing.assert_close(changed, expected)
        assert not torch.equal(changed, images)


def test_test_images_are_left_as_they_are():
    data = made_up_data()
    plain, augmented = (
        next(Batches(replace(data, augmentation=name), 16, CPU).test(0))
        for name in ("none", "crop-flip")
    )
    assert all(map(torch.equal, plain, augmented))


def test_features_and_numbers_are_handed_on_as_they_are():
    data = made_up_data()
    rows = data.train_images.flatten(1).float()
    features = replace(data, train_images=rows, train_labels=rows[:, 3], mean=0.0, std=1.0)
    inputs, targets = next(Batches(features, 16, CPU).epochs(2, 0, 1))
    assert torch.equal(inputs[:, 3], targets)
    assert {tuple(row) for row in inputs.tolist()} <= {
        tuple(row) for row in rows[data.train_index[2]].tolist()
    }


@pytest.mark.parametrize("length", [{"steps": 7}, {"epochs": 3}])
def test_batches_made_in_one_go_are_those_made_alone(length, monkeypatch):
    data = made_up_data()
    together = list(Batches(data, 7, CPU).together([1], [5], **length))
    assert len({images.untyped_storage().data_ptr() for images, _ in together}) < len(together)
    monkeypatch.setattr(batches, "_AT_ONCE", 0)
    alone = list(Batches(data, 7, CPU).together([1], [5], **length))
    for (images, labels), (same, as_well) in zip(together, alone, strict=True):
        assert images.data_ptr() % 64 == 0  # else matrix products may have other bits
        assert torch.equal(images, same)
        assert torch.equal(labels, as_well)


def test_a_sample_is_some_of_a_clients_data_to_train_or_to_test_on():
    data = made_up_data()
    made = Batches(replace(data, augmentation="crop-flip"), 16, CPU)

    def seen(of, count, seed=5):
        return torch.cat(
            [images for images, _ in made.test(1, SampleSelection(of=of, count=count, seed=seed))]
        )

    whole = {
        "train": data.train_images[data.train_index[1]],
        "test": data.test_images[data.test_index[1]],
    }
    for of, images in whole.items():
        normal = {
            tuple(((image.float() - data.mean) / data.std).flatten().tolist()) for image in images
        }
        assert {tuple(image.flatten().tolist()) for image in seen(of, 1000)} == normal
        few = seen(of, 7)
        assert {tuple(image.flatten().tolist()) for image in few} < normal
        assert torch.equal(few, seen(of, 100)[:7])
        assert not torch.equal(few, seen(of, 7, seed=6))
