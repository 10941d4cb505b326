"""Linear regression on 280 features."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.models._closed_form import add_gradient


class Linear(nn.Module):
    """280 weights and a bias (d = 281 of [SPS], BlogFeedback), initially 0; squared error.

    Default input (batch, 280), output (batch, 1).

    Attributes:
        input_shape: Shape of an input without the batch axis.
        classes: Number of classes; 1 for a regression.
        personal: Names of the personal sub-modules.
        chain: Names of its linear layers, with ReLU between them, which is all of the model.
        loss: Name of the loss.
    """

    input_shape: tuple[int, ...] = (280,)
    classes: int = 1
    personal: ClassVar[tuple[str, ...]] = ()
    chain: ClassVar[tuple[str, ...]] = ("fc",)
    loss: ClassVar[str] = "squared-error"

    def __init__(self, *, inputs: int = 280) -> None:
        """Make the network with weights 0.

        Args:
            inputs: Number of features.
        """
        super().__init__()
        self.input_shape = (inputs,)
        self.fc = nn.Linear(inputs, 1)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Predictions.

        Args:
            features: Features, (batch, inputs).

        Returns:
            Predictions, (batch, 1).
        """
        predictions: Tensor = self.fc(features)
        return predictions

    @torch.no_grad()
    def gradient(self, features: Tensor, targets: Tensor) -> Tensor:
        """Add the gradient of the mean squared error to the `grad` of every parameter.

        Args:
            features: Features, (batch, inputs).
            targets: Targets, (batch,).

        Returns:
            The mean squared error, ().
        """
        predictions = self.fc(features)
        error = predictions - targets.view_as(predictions)
        add_gradient(self.fc, features, error * (2.0 / len(error)))
        return F.mse_loss(error, torch.zeros_like(error))
