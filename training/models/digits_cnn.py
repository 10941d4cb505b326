"""The sister of `mnist-cnn` for 8x8 images."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class DigitsCnn(nn.Module):
    """Two convolutions (1,248 personal parameters) and two fully connected layers (3,760 global ones).

    conv 1-8 3x3, max-pool 2, ReLU; conv 8-16 3x3, max-pool 2, ReLU; FC 64-50, ReLU; FC 50-10: the shape of
    `mnist-cnn`, with about the same quarter of its parameters personal. Input (batch, 1, 8, 8), output logits
    (batch, 10).
    """

    input_shape: ClassVar[tuple[int, int, int]] = (1, 8, 8)
    classes: ClassVar[int] = 10
    personal: ClassVar[tuple[str, ...]] = ("conv1", "conv2")

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc1 = nn.Linear(64, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images."""
        hidden = F.relu(F.max_pool2d(self.conv1(images), 2))
        hidden = F.relu(F.max_pool2d(self.conv2(hidden), 2))
        logits: Tensor = self.fc2(F.relu(self.fc1(hidden.flatten(1))))
        return logits
