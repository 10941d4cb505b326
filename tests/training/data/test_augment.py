"""Augmentation: whole batches against single images, distribution of the draws."""

import pytest
import torch

from training.data.augment import AUGMENTATIONS, PAD, crop_flip


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _images(count=40, size=(3, 6, 5)):
    return torch.randint(1, 256, (count, *size), generator=_generator(9)).to(torch.uint8)


def _one_by_one(images, seed):
    """The plain form: pad, cut, mirror each image with the same draws."""
    generator, (count, _, height, width) = _generator(seed), images.shape
    top, left = torch.randint(2 * PAD + 1, (2, count, 1), generator=generator).squeeze(2).tolist()
    mirrored = (torch.rand(count, 1, generator=generator) < 0.5).flatten().tolist()
    changed = []
    for image, y, x, mirror in zip(images, top, left, mirrored, strict=True):
        padded = torch.zeros(image.shape[0], height + 2 * PAD, width + 2 * PAD, dtype=torch.uint8)
        padded[:, PAD : PAD + height, PAD : PAD + width] = image
        cut = padded[:, y : y + height, x : x + width]
        changed.append(cut.flip(2) if mirror else cut)
    return torch.stack(changed)


@pytest.mark.parametrize("size", [(3, 32, 32), (1, 28, 28), (2, 6, 5)])
def test_a_batch_is_changed_like_its_images_one_by_one(size):
    images = _images(size=size)
    before = images.clone()
    for seed in range(3):
        assert torch.equal(crop_flip(images, _generator(seed)), _one_by_one(images, seed))
    assert torch.equal(images, before)


def test_every_place_and_half_of_the_mirrors_occur():
    images = torch.zeros(20000, 1, 12, 12, dtype=torch.uint8)
    images[:, 0, 5, 5] = 1  # never cut off, and off the middle: 5 and its mirror image 6 differ
    _, _, row, column = crop_flip(images, _generator(1)).nonzero().T
    rows = row.bincount(minlength=12)
    assert rows[1:10].min() > 20000 / 9 - 4 * (20000 * 8 / 81) ** 0.5
    assert rows[1:10].sum() == 20000
    # Columns 1 .. 9 unmirrored, 2 .. 10 mirrored: column 1 has half a ninth.
    share = float((column == 1).sum()) / 20000
    assert share == pytest.approx(1 / 18, abs=4 * (1 / 18 * 17 / 18 / 20000) ** 0.5)


def test_none_is_nothing():
    assert AUGMENTATIONS["none"] is None
