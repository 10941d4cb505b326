"""The fully connected network for 28x28 images."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models._closed_form import add_gradient, softmax_error
from training.structure.groups import Group, group_widths


class Mlp(nn.Module):
    """784-200-200-10 with ReLU: 199,210 parameters.

    Default input (batch, 1, 28, 28), output logits (batch, 10).

    Attributes:
        input_shape: Shape of an input without the batch axis.
        classes: Number of classes.
        personal: Names of the personal sub-modules.
        chain: Names of its linear layers, with ReLU between them, which is all of the model.
        feature_layer: Name of the last layer, whose inputs are the features.
        groups: Groups of channels that can be removed.
    """

    input_shape: tuple[int, ...] = (1, 28, 28)
    classes: int = 10
    personal: ClassVar[tuple[str, ...]] = ()
    chain: ClassVar[tuple[str, ...]] = ("fc1", "fc2", "fc3")
    feature_layer: ClassVar[str] = "fc3"
    groups: ClassVar[tuple[Group, ...]] = (
        Group(name="fc1", width=200, rows=("fc1",), columns=("fc2",)),
        Group(name="fc2", width=200, rows=("fc2",), columns=("fc3",)),
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
        self.fc1 = nn.Linear(784 * channels, width["fc1"])
        self.fc2 = nn.Linear(width["fc1"], width["fc2"])
        self.fc3 = nn.Linear(width["fc2"], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images.

        Args:
            images: Images, (batch, *input_shape).

        Returns:
            Logits, (batch, classes).
        """
        logits: Tensor = self.fc3(F.relu(self.fc2(F.relu(self.fc1(images.flatten(1))))))
        return logits

    @torch.no_grad()
    def gradient(self, images: Tensor, labels: Tensor) -> Tensor:
        """Add the gradient of the mean cross-entropy to the `grad` of every parameter.

        Args:
            images: Images, (batch, *input_shape).
            labels: Labels, (batch,).

        Returns:
            The mean cross-entropy, ().
        """
        pixels = images.flatten(1)
        first = F.relu(self.fc1(pixels))
        second = F.relu(self.fc2(first))
        loss, error = softmax_error(self.fc3(second), labels)
        add_gradient(self.fc3, second, error)
        error = (error @ self.fc3.weight).mul_(second > 0)
        add_gradient(self.fc2, first, error)
        error = (error @ self.fc2.weight).mul_(first > 0)
        add_gradient(self.fc1, pixels, error)
        return loss
