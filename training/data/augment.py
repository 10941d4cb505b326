"""Random augmentation of training images, a mini-batch at once."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

PAD = 4

Augment = Callable[[Tensor, torch.Generator], Tensor]


def crop_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Crop each padded image at a random place and mirror it with probability 1/2.

    4 black pixels are added on each side: He et al., "Deep Residual Learning for Image
    Recognition", section 4.2. The draws are made on the CPU, so that they are the same on every
    device.

    Args:
        images: Images (B, C, H, W), uint8.
        generator: CPU generator of the draws.

    Returns:
        Images (B, C, H, W), uint8.
    """
    count, channels, height, width = images.shape
    top, left = torch.randint(2 * PAD + 1, (2, count, 1), generator=generator).to(images.device)
    mirrored = torch.rand(count, 1, generator=generator).to(images.device) < 0.5
    across = torch.arange(width, device=images.device)
    columns = left + torch.where(mirrored, across.flip(0), across)
    rows = top + torch.arange(height, device=images.device)
    # One gather over all pixels of an image is faster than slicing image by image.
    pixels = rows[:, :, None] * (width + 2 * PAD) + columns[:, None, :]
    padded = F.pad(images, (PAD, PAD, PAD, PAD)).flatten(2)
    index = pixels.reshape(count, 1, height * width).expand(-1, channels, -1)
    return padded.gather(2, index).view(count, channels, height, width)


AUGMENTATIONS: dict[str, Augment | None] = {"none": None, "crop-flip": crop_flip}
