"""The 21,840-parameter CNN for 28x28 images."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn


class MnistCnn(nn.Module):
    """Two convolutions (5,280 personal parameters) and two fully connected layers (16,560 global ones).

    conv 1-10 5x5, max-pool 2, ReLU; conv 10-20 5x5, max-pool 2, ReLU; FC 320-50, ReLU; FC 50-10: the network that
    fits Table I of [WFL], which does not name its own. Input (batch, 1, 28, 28), output logits (batch, 10).
    """

    input_shape: ClassVar[tuple[int, int, int]] = (1, 28, 28)
    classes: ClassVar[int] = 10
    personal: ClassVar[tuple[str, ...]] = ("conv1", "conv2")

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of normalised images; the pool stands before the ReLU, where it commutes and leaves less to do."""
        hidden = F.relu(F.max_pool2d(self.conv1(images), 2))
        hidden = F.relu(F.max_pool2d(self.conv2(hidden), 2))
        logits: Tensor = self.fc2(F.relu(self.fc1(hidden.flatten(1))))
        return logits
