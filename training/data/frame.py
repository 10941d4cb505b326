"""Images framed in black, for models of another image size."""

from typing import TYPE_CHECKING

from wirelessfl.errors import InputError

if TYPE_CHECKING:  # torch takes a second
    from torch import Tensor

Shape = tuple[int, ...]


def framed_shape(shape: Shape, size: int | None, channels: int | None, where: str) -> Shape:
    """Shape of framed images.

    Args:
        shape: Shape (C, H, W) of an image.
        size: Height and width of the frame; those of the image if None.
        channels: Number of channels; those of the image if None.
        where: Name of the data set in messages.

    Returns:
        Shape (C, H, W) of a framed image.

    Raises:
        InputError: The image is larger than the frame or has other channels than 1 or `channels`.
    """
    if size is not None and (len(shape) != 3 or max(shape[1:]) > size):
        raise InputError(
            f"training.image_size must be at least that of the images of {where}, {shape}, "
            f"got {size}"
        )
    if channels is not None and (len(shape) != 3 or shape[0] not in (1, channels)):
        raise InputError(
            f"training.image_channels must be the channels of the images of {where}, {shape}, "
            f"unless these have one, got {channels}"
        )
    height, width = shape[1:] if size is None else (size, size)
    return channels or shape[0], height, width


def framed(images: "Tensor", shape: Shape) -> "Tensor":
    """Images in the centre of black ones; a grey channel is repeated.

    Where the margin is odd, the larger half is below or on the right.

    Args:
        images: Images (N, C, H, W).
        shape: Shape from `framed_shape`.

    Returns:
        Images (N, *shape).
    """
    import torch.nn.functional as F

    channels, height, width = shape
    down = height - images.shape[2]
    across = width - images.shape[3]
    padded = F.pad(images, (across // 2, across - across // 2, down // 2, down - down // 2))
    return padded.expand(-1, channels, -1, -1)
