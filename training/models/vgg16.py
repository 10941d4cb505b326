"""VGG16 with batch norm for 32x32 colour images."""

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from training.structure.groups import Group, group_widths

_WIDTHS = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
_POOLED = (1, 3, 6, 9, 12)  # convolutions followed by a pool
_READERS = (*(f"convs.{i}" for i in range(1, len(_WIDTHS))), "fc1")


class Vgg16(nn.Module):
    """13 convolutions 3x3 with batch norm and three fully connected layers: 15,119,690 parameters.

    Convolutions of 64-64, 128-128, 256 three times, 512 six times, ReLU, max-pool 2 after the 2nd,
    4th, 7th, 10th and 13th; FC 512-512-256-10: the sizes of [CA-HFP] Table I. The filters of
    every convolution can be removed, the fully connected layers stay. Default input
    (batch, 3, 32, 32), output logits (batch, 10).

    Attributes:
        input_shape: Shape of an input without the batch axis.
        classes: Number of classes.
        personal: Names of the personal sub-modules.
        feature_layer: Name of the last layer, whose inputs are the features.
        groups: Groups of channels that can be removed.
    """

    input_shape: tuple[int, ...] = (3, 32, 32)
    classes: int = 10
    personal: ClassVar[tuple[str, ...]] = ()
    feature_layer: ClassVar[str] = "fc3"
    groups: ClassVar[tuple[Group, ...]] = tuple(
        Group(name=f"convs.{i}", width=width, rows=(f"convs.{i}", f"norms.{i}"), columns=(reader,))
        for i, (width, reader) in enumerate(zip(_WIDTHS, _READERS, strict=True))
    )

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
        width = list(group_widths(self.groups, widths).values())
        self.convs = nn.ModuleList(
            nn.Conv2d(*pair, 3, padding=1) for pair in pairwise([channels, *width])
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(count) for count in width)
        self.fc1 = nn.Linear(width[-1], 512)
        self.fc2 = nn.Linear(512, 256)
        self.fc3 = nn.Linear(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images.

        Args:
            images: Images, (batch, *input_shape).

        Returns:
            Logits, (batch, classes).
        """
        hidden = images
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            hidden = F.relu(norm(conv(hidden)))
            if i in _POOLED:
                hidden = F.max_pool2d(hidden, 2)
        logits: Tensor = self.fc3(F.relu(self.fc2(F.relu(self.fc1(hidden.flatten(1))))))
        return logits
