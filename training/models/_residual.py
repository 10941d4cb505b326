"""Basic blocks of residual networks."""

from collections.abc import Iterator, Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from training.models._groups import Group


class BasicBlock(nn.Module):
    """ReLU(norm(conv(ReLU(norm(conv(x))))) + shortcut(x)) with two 3x3 convolutions and `inner` channels between them.

    The shortcut is x, or a 1x1 convolution with batch norm where the shape changes (option B of He et al. 2016).
    """

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inner, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            project = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(project, nn.BatchNorm2d(outputs))

    def forward(self, images: Tensor) -> Tensor:
        """The block's output."""
        hidden = F.relu(self.norm1(self.conv1(images)))
        return F.relu(self.norm2(self.conv2(hidden)) + self.shortcut(images))


def residual_blocks(blocks: int, stages: Sequence[int], inner: Mapping[str, int]) -> nn.Sequential:
    """`blocks` blocks for each of `stages`, the channels at their outputs; every stage but the first halves the image.

    `inner` gives the channels within each block, by group.
    """
    made, inputs = [], stages[0]
    for name, outputs in _named(blocks, stages):
        stride = 1 if inputs == outputs else 2
        made.append(BasicBlock(inputs, inner[name], outputs, stride))
        inputs = outputs
    return nn.Sequential(*made)


def inner_groups(blocks: int, stages: Sequence[int]) -> tuple[Group, ...]:
    """The groups of a network whose module `blocks` are these `residual_blocks`: the channels within each block.

    The stem and the shortcuts stay whole, since the sum of a block needs the same channels on both sides.
    """
    return tuple(
        Group(name=name, width=width, rows=(f"{name}.conv1", f"{name}.norm1"), columns=(f"{name}.conv2",))
        for name, width in _named(blocks, stages)
    )


def _named(blocks: int, stages: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Name and output channels of every block."""
    return ((f"blocks.{i}", stages[i // blocks]) for i in range(blocks * len(stages)))
