"""Stacks: the networks of several clients in one, for devices that many small operations keep
waiting.
"""

import copy
from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.engine.network import Network, autocast, norms, reading
from training.structure.layout import Part


class Stack:
    """`clients` networks of one shape as one program: numbers are (clients, n), samples lie behind
    each other.

    The model's own `forward` runs once on the samples of all clients, (clients * batch, ...). Its
    linear layers, convolutions and batch norms are replaced by ones that use each client's own
    numbers (a batched matrix product, a grouped convolution, statistics of each client's own
    samples); everything else a model does treats every sample for itself. Batches are exact,
    nothing is padded.
    """

    def __init__(self, network: Network, clients: int) -> None:
        device, self.layout = network.vector.device, network.layout
        self.vector = torch.zeros(clients, self.layout.size, device=device)
        self.gradient = torch.zeros(clients, self.layout.parameter_size, device=device)
        self._bfloat16, self._losses = network.bfloat16, _LOSSES[network.loss]
        self._model = _stacked(network.model)
        self._parameters: dict[str, nn.Parameter] = {}
        self._gradients: dict[str, Tensor] = {}
        for entry in self.layout.entries:
            module, _, name = entry.name.rpartition(".")
            values = self.vector[:, entry.slice].unflatten(1, entry.shape)
            owner = self._model.get_submodule(module)
            if entry.offset >= self.layout.parameter_size:
                setattr(owner, name, values)
                continue
            self._parameters[entry.name] = nn.Parameter(values)
            self._gradients[entry.name] = self.gradient[:, entry.slice].unflatten(1, entry.shape)
            setattr(owner, name, self._parameters[entry.name])

    @staticmethod
    def fits(model: nn.Module) -> bool:
        """Whether all numbers of `model` are in layers that can be stacked."""
        return all(
            type(module) in _LAYERS and getattr(module, "padding_mode", "zeros") == "zeros"
            for module in model.modules()
            if any(True for _ in module.parameters(recurse=False))
            or any(True for _ in module.buffers(recurse=False))
        )

    def require(self, part: Part) -> None:
        """Gradients for `part` only."""
        for entry in self.layout.parameters:
            personal = entry.offset < self.layout.personal_size
            self._parameters[entry.name].requires_grad_(
                part == "all" or (part == "personal") == personal
            )

    def backward(self, inputs: Tensor, targets: Tensor, feature_penalty: float = 0.0) -> Tensor:
        """Put each client's gradient of its mean loss into `gradient`; the losses, (clients,)."""
        self.gradient.zero_()
        with (
            autocast(self.vector.device, self._bfloat16),
            reading(self._model, feature_penalty > 0) as features,
        ):
            outputs = self._model(inputs)
        samples = self._losses(outputs.float(), targets).view(len(self.vector), -1)
        losses = samples.mean(1)
        trained = [name for name, values in self._parameters.items() if values.requires_grad]
        objectives = (
            losses + feature_penalty * norms(features[0]).view_as(samples).mean(1)
            if features
            else losses
        )
        found = torch.autograd.grad(objectives.sum(), [self._parameters[name] for name in trained])
        torch._foreach_copy_([self._gradients[name] for name in trained], found)
        return losses.detach()

    def training(self, mode: bool) -> None:
        """Nothing to switch: a stack trains, it is not evaluated."""

    def join(self, rows: Sequence[Tensor]) -> Tensor:
        """The numbers of each client as rows."""
        return torch.stack(list(rows))

    def divide(self, values: Tensor) -> Sequence[Tensor]:
        """The rows."""
        return values.unbind(0)


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs.view_as(targets) - targets).square()


_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="none"),
    "squared-error": _squared_error,
}


class _Linear(nn.Module):
    """Linear layers: weight (clients, out, in), bias (clients, out)."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.bias = None

    def forward(self, inputs: Tensor) -> Tensor:
        clients = len(self.weight)
        rows, columns = inputs.reshape(clients, -1, inputs.shape[-1]), self.weight.mT
        made = (
            rows @ columns
            if self.bias is None
            else torch.baddbmm(self.bias[:, None], rows, columns)
        )
        return made.flatten(0, 1)


class _Conv2d(nn.Module):
    """Convolutions as one with groups: weight (clients, out, in, h, w), bias (clients, out)."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.bias = None
        self._layer = (cast(nn.Conv2d, layer),)  # in a tuple: no sub-module of this one

    def forward(self, images: Tensor) -> Tensor:
        (layer,), clients = self._layer, len(self.weight)
        bias = None if self.bias is None else self.bias.flatten()
        made = F.conv2d(
            _beside(images, clients),
            self.weight.flatten(0, 1),
            bias,
            layer.stride,
            cast(tuple[int, int], layer.padding),
            layer.dilation,
            clients * layer.groups,
        )
        return _behind(made, clients)


class _BatchNorm2d(nn.Module):
    """Batch norms in training: weight, bias, running_mean and running_var (clients, channels)."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = (cast(nn.BatchNorm2d, layer),)

    def forward(self, images: Tensor) -> Tensor:
        (layer,), clients = self._layer, len(self.weight)
        mean, variance = (
            self.running_mean.flatten(),
            self.running_var.flatten(),
        )  # copies: rows are not in one piece
        made = F.batch_norm(
            _beside(images, clients),
            mean,
            variance,
            self.weight.flatten(),
            self.bias.flatten(),
            True,
            cast(float, layer.momentum),
            layer.eps,
        )
        self.running_mean.copy_(mean.view_as(self.running_mean))
        self.running_var.copy_(variance.view_as(self.running_var))
        return _behind(made, clients)


_LAYERS: dict[type[nn.Module], Callable[[nn.Module], nn.Module]] = {
    nn.Linear: _Linear,
    nn.Conv2d: _Conv2d,
    nn.BatchNorm2d: _BatchNorm2d,
}


def _stacked(model: nn.Module) -> nn.Module:
    """A copy of `model` with stacked layers, which have no numbers yet."""
    made = copy.deepcopy(model)
    for name, module in list(made.named_modules()):
        if type(module) in _LAYERS:
            parent, _, own = name.rpartition(".")
            setattr(made.get_submodule(parent), own, _LAYERS[type(module)](module))
    return made


def _beside(images: Tensor, clients: int) -> Tensor:
    """(clients * batch, channels, h, w) to (batch, clients * channels, h, w)."""
    return images.unflatten(0, (clients, -1)).transpose(0, 1).flatten(1, 2)


def _behind(images: Tensor, clients: int) -> Tensor:
    """(batch, clients * channels, h, w) to (clients * batch, channels, h, w)."""
    return images.unflatten(1, (clients, -1)).transpose(0, 1).flatten(0, 1)
