"""Framed images: place, grey channels, shapes and their errors."""

import pytest
import torch

from training.data.frame import framed, framed_shape
from wirelessfl.errors import InputError

IMAGES = torch.randint(1, 256, (5, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(
    torch.uint8
)


def test_images_lie_in_the_middle_of_black_ones():
    large = framed(IMAGES, (1, 12, 12))
    assert large.dtype == torch.uint8
    assert torch.equal(large[:, :, 2:10, 2:10], IMAGES)
    assert int(large.sum(dtype=torch.int64)) == int(IMAGES.sum(dtype=torch.int64))


def test_the_odd_row_and_column_lie_behind():
    assert torch.equal(framed(IMAGES, (1, 9, 9))[:, :, :8, :8], IMAGES)


def test_a_grey_channel_is_repeated():
    colour = framed(IMAGES, (3, 8, 8))
    assert all(torch.equal(colour[:, channel], IMAGES[:, 0]) for channel in range(3))


def test_the_shape_follows_what_is_asked_for():
    assert framed_shape((1, 28, 28), 32, None, "it") == (1, 32, 32)
    assert framed_shape((1, 28, 28), 32, 3, "it") == (3, 32, 32)
    assert framed_shape((3, 32, 32), None, 3, "it") == (3, 32, 32)


@pytest.mark.parametrize(
    ("shape", "size", "channels", "said"),
    [
        (
            (1, 28, 28),
            27,
            None,
            r"training.image_size must be at least that of the images of it, \(1, 28, 28\), got 27",
        ),
        ((280,), 32, None, r"training.image_size must be .* of it, \(280,\), got 32"),
        (
            (3, 32, 32),
            None,
            1,
            r"training.image_channels must be .* of it, \(3, 32, 32\), unless .* got 1",
        ),
        ((280,), None, 3, r"training.image_channels must be .*, \(280,\), .* got 3"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(shape, size, channels, said):
    with pytest.raises(InputError, match=said) as refused:
        framed_shape(shape, size, channels, "it")
    assert "\n" not in str(refused.value)
