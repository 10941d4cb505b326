"""The residual network of 18 layers for 32x32 colour images."""

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from training.models._groups import Group, group_widths
from training.models._residual import inner_groups, residual_blocks

_BLOCKS, _STAGES = 2, (64, 128, 256, 512)  # in each stage; channels of the stages


class Resnet18(nn.Module):
    """ResNet-18 with the stem for small images: 11,173,962 parameters.

    3x3 stem; 2-2-2-2 blocks of 64 to 512 channels, each stage but the first at half the image size, shortcuts that
    change shape by 1x1 convolutions; batch norm behind every convolution; mean over the image; one fully connected
    layer. What lies within a block can shrink. Default input (batch, 3, 32, 32), output logits (batch, 10).
    """

    input_shape: tuple[int, ...] = (3, 32, 32)
    classes: int = 10
    personal: ClassVar[tuple[str, ...]] = ()
    feature_layer: ClassVar[str] = "fc"
    groups: ClassVar[tuple[Group, ...]] = inner_groups(_BLOCKS, _STAGES)

    def __init__(self, widths: Mapping[str, int] | None = None, *, classes: int = 10, channels: int = 3) -> None:
        super().__init__()
        self.classes, self.input_shape = classes, (channels, 32, 32)
        self.stem = nn.Conv2d(channels, _STAGES[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(_STAGES[0])
        self.blocks = residual_blocks(_BLOCKS, _STAGES, group_widths(self.groups, widths))
        self.fc = nn.Linear(_STAGES[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images."""
        hidden = self.blocks(F.relu(self.norm(self.stem(images))))
        logits: Tensor = self.fc(hidden.mean((2, 3)))
        return logits
