"""Residual networks for small images: the common part of those of different depth."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from training.structure.groups import Group, group_widths


class BasicBlock(nn.Module):
    """ReLU(norm(conv(ReLU(norm(conv(x))))) + shortcut(x)) with two 3x3 convolutions.

    The shortcut is x, or a 1x1 convolution with batch norm where the shape changes (option B of He
    et al. 2016).
    """

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int) -> None:
        """Make the block.

        Args:
            inputs: Channels of the input.
            inner: Channels between the convolutions.
            outputs: Channels of the output.
            stride: Stride of the first convolution.
        """
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
        """Output of the block.

        Args:
            images: (batch, inputs, h, w).

        Returns:
            (batch, outputs, h / stride, w / stride).
        """
        hidden = F.relu(self.norm1(self.conv1(images)))
        return F.relu(self.norm2(self.conv2(hidden)) + self.shortcut(images))


def residual_blocks(blocks: int, stages: Sequence[int], inner: Mapping[str, int]) -> nn.Sequential:
    """The blocks of a network; every stage but the first halves the image.

    Args:
        blocks: Blocks of each stage.
        stages: Channels at the outputs of each stage's blocks.
        inner: Channels within each block, by group.

    Returns:
        All blocks in order.
    """
    modules = []
    inputs = stages[0]
    for name, outputs in _named(blocks, stages):
        stride = 1 if inputs == outputs else 2
        modules.append(BasicBlock(inputs, inner[name], outputs, stride))
        inputs = outputs
    return nn.Sequential(*modules)


def inner_groups(blocks: int, stages: Sequence[int]) -> tuple[Group, ...]:
    """The groups of a network with a module `blocks` of `residual_blocks`: channels within blocks.

    The stem and the shortcuts cannot shrink, since the sum of a block needs the same channels on
    both sides.

    Args:
        blocks: Blocks of each stage.
        stages: Channels at the outputs of each stage's blocks.

    Returns:
        One group for each block.
    """
    return tuple(
        Group(
            name=name,
            width=width,
            rows=(f"{name}.conv1", f"{name}.norm1"),
            columns=(f"{name}.conv2",),
        )
        for name, width in _named(blocks, stages)
    )


def _named(blocks: int, stages: Sequence[int]) -> Iterator[tuple[str, int]]:
    """Name and output channels of every block."""
    return ((f"blocks.{i}", stages[i // blocks]) for i in range(blocks * len(stages)))


class ResidualNet(nn.Module):
    """A residual network of He et al. 2016 for 32x32 images.

    3x3 stem; basic blocks, each stage but the first at half the image size, shortcuts that change
    shape by 1x1 convolutions; batch norm after every convolution; mean over the image; one fully
    connected layer. Channels within a block can be removed. Default input (batch, 3, 32, 32),
    output logits (batch, 10).

    Attributes:
        input_shape: Shape of an input without the batch axis.
        classes: Number of classes.
        personal: Names of the personal sub-modules.
        feature_layer: Name of the last layer, whose inputs are the features.
        groups: Groups of channels that can be removed.
        blocks_per_stage: Blocks of each stage.
        stages: Channels of each stage.
    """

    input_shape: tuple[int, ...] = (3, 32, 32)
    classes: int = 10
    personal: ClassVar[tuple[str, ...]] = ()
    feature_layer: ClassVar[str] = "fc"
    groups: ClassVar[tuple[Group, ...]]
    blocks_per_stage: ClassVar[int]
    stages: ClassVar[tuple[int, ...]]

    def __init__(
        self, widths: Mapping[str, int] | None = None, *, classes: int = 10, channels: int = 3
    ) -> None:
        """Make the network with random weights.

        Args:
            widths: Channels of groups; a group that is not named keeps all.
            classes: Number of classes.
            channels: Channels of an image.
        """
        super().__init__()
        self.classes = classes
        self.input_shape = (channels, 32, 32)
        self.stem = nn.Conv2d(channels, self.stages[0], 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(self.stages[0])
        self.blocks = residual_blocks(
            self.blocks_per_stage, self.stages, group_widths(self.groups, widths)
        )
        self.fc = nn.Linear(self.stages[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images.

        Args:
            images: Images, (batch, *input_shape).

        Returns:
            Logits, (batch, classes).
        """
        hidden = self.blocks(F.relu(self.norm(self.stem(images))))
        logits: Tensor = self.fc(hidden.mean((2, 3)))
        return logits
