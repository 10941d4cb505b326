"""Images on a larger black ground, and grey ones in several channels, for models of another size."""

import torch.nn.functional as F
from torch import Tensor

from wirelessfl.errors import InputError

Shape = tuple[int, ...]


def framed_shape(shape: Shape, size: int | None, channels: int | None, where: str) -> Shape:
    """The shape of images of `shape` once `framed`; `InputError` where they cannot be."""
    if size is not None and (len(shape) != 3 or max(shape[1:]) > size):
        raise InputError(
            f"training.image_size must be at least that of the images of {where}, {shape}, got {size}"
        )
    if channels is not None and (len(shape) != 3 or shape[0] not in (1, channels)):
        raise InputError(
            f"training.image_channels must be the channels of the images of {where}, {shape}, unless these have one, "
            f"got {channels}"
        )
    height, width = shape[1:] if size is None else (size, size)
    return channels or shape[0], height, width


def framed(images: Tensor, shape: Shape) -> Tensor:
    """Images (N, C, H, W) in the middle of black ones of `shape`, one grey channel repeated as
    often as asked for.

    Where the space does not divide by two, the odd row or column is below or on the right.
    """
    channels, height, width = shape
    down, across = height - images.shape[2], width - images.shape[3]
    padded = F.pad(images, (across // 2, across - across // 2, down // 2, down - down // 2))
    return padded.expand(-1, channels, -1, -1)
