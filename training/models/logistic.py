"""Multinomial logistic regression on 28x28 images."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from training.models._closed_form import add_gradient, softmax_error


class Logistic(nn.Module):
    """One fully connected layer 784-10: 7,850 parameters.

    Default input (batch, 1, 28, 28), output logits (batch, 10).

    Attributes:
        input_shape: Shape of an input without the batch axis.
        classes: Number of classes; 1 for a regression.
        personal: Names of the personal sub-modules.
        chain: Names of its linear layers, with ReLU between them, which is all of the model.
    """

    input_shape: tuple[int, ...] = (1, 28, 28)
    classes: int = 10
    personal: ClassVar[tuple[str, ...]] = ()
    chain: ClassVar[tuple[str, ...]] = ("fc",)

    def __init__(self, *, classes: int = 10, channels: int = 1) -> None:
        """Make the network with random weights.

        Args:
            classes: Number of classes.
            channels: Channels of an image.
        """
        super().__init__()
        self.classes = classes
        self.input_shape = (channels, 28, 28)
        self.fc = nn.Linear(784 * channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images.

        Args:
            images: Images, (batch, *input_shape).

        Returns:
            Logits, (batch, classes).
        """
        logits: Tensor = self.fc(images.flatten(1))
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
        loss, error = softmax_error(self.fc(pixels), labels)
        add_gradient(self.fc, pixels, error)
        return loss
