"""The 21,840-parameter CNN for 28x28 images."""

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from training.structure.groups import Group, group_widths


class MnistCnn(nn.Module):
    """Two convolutions (5,280 personal parameters) and two fully connected layers (16,560 global).

    conv 1-10 5x5, max-pool 2, ReLU; conv 10-20 5x5, max-pool 2, ReLU; FC 320-50, ReLU; FC 50-10:
    the network that fits [WFL] Table I, which does not name its own. Default input
    (batch, 1, 28, 28), output logits (batch, 10).

    Attributes:
        input_shape: Shape of an input without the batch axis.
        classes: Number of classes.
        personal: Names of the personal sub-modules.
        feature_layer: Name of the last layer, whose inputs are the features.
        groups: Groups of channels that can be removed.
    """

    input_shape: tuple[int, ...] = (1, 28, 28)
    classes: int = 10
    personal: ClassVar[tuple[str, ...]] = ("conv1", "conv2")
    feature_layer: ClassVar[str] = "fc2"
    groups: ClassVar[tuple[Group, ...]] = (
        Group(name="conv1", width=10, rows=("conv1",), columns=("conv2",)),
        Group(name="conv2", width=20, rows=("conv2",), columns=("fc1",)),
        Group(name="fc1", width=50, rows=("fc1",), columns=("fc2",)),
    )

    def __init__(
        self, widths: Mapping[str, int] | None = None, *, classes: int = 10, channels: int = 1
    ) -> None:
        """Make the network with random weights.

        Args:
            widths: Channels of groups; a group that is not named keeps all.
            classes: Number of classes.
            channels: Channels of an image.
        """
        super().__init__()
        self.classes = classes
        self.input_shape = (channels, 28, 28)
        width = group_widths(self.groups, widths)
        self.conv1 = nn.Conv2d(channels, width["conv1"], 5)
        self.conv2 = nn.Conv2d(width["conv1"], width["conv2"], 5)
        self.fc1 = nn.Linear(16 * width["conv2"], width["fc1"])
        self.fc2 = nn.Linear(width["fc1"], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images.

        The pool precedes the ReLU: both orders give the same result, this one at a quarter of the
        cost.

        Args:
            images: Images, (batch, *input_shape).

        Returns:
            Logits, (batch, classes).
        """
        hidden = F.relu(F.max_pool2d(self.conv1(images), 2))
        hidden = F.relu(F.max_pool2d(self.conv2(hidden), 2))
        logits: Tensor = self.fc2(F.relu(self.fc1(hidden.flatten(1))))
        return logits
