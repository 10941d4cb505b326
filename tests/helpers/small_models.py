"""Small models for the engine's tests, and an engine on any of them."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.data.federated import FederatedData
from training.engine.engine import Engine
from training.structure.groups import Group
from training.structure.layout import Layout


class NormCnn(nn.Module):
    """A convolution and a linear layer, each followed by batch norm.

    `widths` = {"hidden": channels kept of 6}.
    """

    groups: ClassVar[tuple[Group, ...]] = (
        Group(name="hidden", width=6, rows=("conv", "norm"), columns=("head",)),
    )
    input_shape: ClassVar[tuple[int, ...]] = (1, 8, 8)
    classes: ClassVar[int] = 10

    def __init__(self, widths: Mapping[str, int] | None = None) -> None:
        super().__init__()
        hidden = (widths or {"hidden": 6})["hidden"]
        self.conv = nn.Conv2d(1, hidden, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(hidden)
        self.head = nn.Linear(4 * hidden, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(F.adaptive_avg_pool2d(F.relu(self.norm(self.conv(images))), 2).flatten(1))


class SmallLogistic(nn.Module):
    """Logistic regression, by autograd."""

    input_shape: ClassVar[tuple[int, ...]] = (1, 8, 8)

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(images.flatten(1))


class ClosedFormLogistic(SmallLogistic):
    """Logistic regression that writes its gradient down: (softmax - one-hot)' x / B."""

    def gradient(self, inputs: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            inputs = inputs.flatten(1)
            log = torch.log_softmax(self.fc(inputs), 1)
            error = log.exp()
            error[torch.arange(len(targets)), targets] -= 1
            error /= len(targets)
            self.fc.weight.grad += error.T @ inputs
            self.fc.bias.grad += error.sum(0)
            return F.nll_loss(log, targets)


class Regression(nn.Module):
    """Linear regression on five features."""

    loss: ClassVar[str] = "squared-error"

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.fc(features)


def seeded(model: type[nn.Module]) -> tuple[nn.Module, Layout, np.ndarray]:
    """A model with seeded weights, its layout, and its vector."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = model()
    layout = Layout.of(made)
    return made, layout, layout.flatten(made).numpy()


def engine_of(model: type[nn.Module], data: FederatedData, batch_size: int = 16) -> Engine:
    """An engine on a model that is no plug-in, all of it shared."""
    made, layout, _ = seeded(model)
    return Engine(made, layout, data, batch_size=batch_size, device=torch.device("cpu"))
