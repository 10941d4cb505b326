"""Networks of several clients stacked into one, for devices that small operations keep idle."""

import copy
from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.engine.network import Network, autocast, norms, reading
from training.structure.layout import Part


class StackedNetwork:
    """The networks of several clients with one shape as one model.

    The model's own `forward` runs once on the samples of all clients, (clients * batch, ...). Its
    linear layers, convolutions and batch norms are replaced by layers that use each client's own
    values: a batched matrix product, a grouped convolution, statistics of each client's samples.
    All other operations of a model treat every sample separately. Results are exact: nothing is
    padded.

    Attributes:
        layout: Layout of one client's vector.
        vector: Weights and buffers, (clients, size).
        gradient: Gradient of the parameters, (clients, parameter_size).
    """

    def __init__(self, network: Network, clients: int) -> None:
        """Stack a model.

        Args:
            network: The network of one client, whose model is copied.
            clients: Number of clients.
        """
        device = network.vector.device
        self.layout = network.layout
        self.vector = torch.zeros(clients, self.layout.size, device=device)
        self.gradient = torch.zeros(clients, self.layout.parameter_size, device=device)
        self._bfloat16 = network.bfloat16
        self._losses = _LOSSES[network.loss]
        self._model = _stacked(network.model)
        self._parameters: dict[str, nn.Parameter] = {}
        self._gradients: dict[str, Tensor] = {}
        for entry in self.layout.entries:
            module, _, name = entry.name.rpartition(".")
            view = torch.unflatten(self.vector[:, entry.slice], 1, entry.shape)
            owner = self._model.get_submodule(module)
            if entry.offset >= self.layout.parameter_size:
                setattr(owner, name, view)
                continue
            self._parameters[entry.name] = nn.Parameter(view)
            gradient = self.gradient[:, entry.slice]
            self._gradients[entry.name] = torch.unflatten(gradient, 1, entry.shape)
            setattr(owner, name, self._parameters[entry.name])

    @staticmethod
    def fits(model: nn.Module) -> bool:
        """Test if all values of a model are in layers that can be stacked.

        Args:
            model: The model of one client.

        Returns:
            True if its parameters and buffers are in linear layers, convolutions with zero padding
            and batch norms.
        """
        return all(
            type(module) in _LAYERS and getattr(module, "padding_mode", "zeros") == "zeros"
            for module in model.modules()
            if any(True for _ in module.parameters(recurse=False))
            or any(True for _ in module.buffers(recurse=False))
        )

    def require(self, part: Part) -> None:
        """Restrict gradients to one part.

        Args:
            part: The part that is trained next.
        """
        for entry in self.layout.parameters:
            personal = entry.offset < self.layout.personal_size
            self._parameters[entry.name].requires_grad_(
                part == "all" or (part == "personal") == personal
            )

    def backward(self, inputs: Tensor, targets: Tensor, feature_penalty: float = 0.0) -> Tensor:
        """Put each client's gradient of its mean loss into `gradient`.

        Args:
            inputs: Normalised inputs, (clients * batch, ...), client after client.
            targets: Labels or numbers, (clients * batch,).
            feature_penalty: Factor of the mean feature norm in the differentiated objective.

        Returns:
            The losses without the penalty, (clients,), on the device.
        """
        self.gradient.zero_()
        with (
            autocast(self.vector.device, self._bfloat16),
            reading(self._model, feature_penalty > 0) as features,
        ):
            outputs = self._model(inputs)
        sample_losses = self._losses(outputs.float(), targets).view(len(self.vector), -1)
        losses = sample_losses.mean(1)
        objectives = losses
        if features:
            penalty = norms(features[0]).view_as(sample_losses).mean(1)
            objectives = losses + feature_penalty * penalty
        trained = [name for name, weight in self._parameters.items() if weight.requires_grad]
        # Clients share no parameter, so that the gradient of the sum holds each client's own.
        gradients = torch.autograd.grad(
            objectives.sum(), [self._parameters[name] for name in trained]
        )
        torch._foreach_copy_([self._gradients[name] for name in trained], gradients)
        return losses.detach()

    def training(self, mode: bool) -> None:
        """Do nothing: a stack is trained and never evaluated.

        Args:
            mode: Ignored.
        """

    def join(self, rows: Sequence[Tensor]) -> Tensor:
        """Join one vector of each client.

        Args:
            rows: A vector (n,) of each client.

        Returns:
            (clients, n).
        """
        return torch.stack(list(rows))

    def divide(self, vectors: Tensor) -> Sequence[Tensor]:
        """Divide joined vectors: the inverse of `join`.

        Args:
            vectors: (clients, n).

        Returns:
            A vector (n,) of each client.
        """
        return vectors.unbind(0)


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Squared error of every sample, (batch,)."""
    return (outputs.view_as(targets) - targets).square()


_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="none"),
    "squared-error": _squared_error,
}


class _Linear(nn.Module):
    """A linear layer for each client: weight (clients, out, in), bias (clients, out)."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.bias = None

    def forward(self, inputs: Tensor) -> Tensor:
        clients = len(self.weight)
        rows = inputs.reshape(clients, -1, inputs.shape[-1])
        columns = self.weight.mT
        outputs = (
            rows @ columns
            if self.bias is None
            else torch.baddbmm(self.bias[:, None], rows, columns)
        )
        return outputs.flatten(0, 1)


class _Conv2d(nn.Module):
    """A convolution for each client, computed as one grouped convolution.

    Weight (clients, out, in, h, w), bias (clients, out).
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.bias = None
        self._layer = (
            cast(nn.Conv2d, layer),
        )  # in a tuple, so that it is not registered as a sub-module

    def forward(self, images: Tensor) -> Tensor:
        (layer,) = self._layer
        clients = len(self.weight)
        bias = None if self.bias is None else self.bias.flatten()
        outputs = F.conv2d(
            _clients_to_channels(images, clients),
            self.weight.flatten(0, 1),
            bias,
            layer.stride,
            cast(tuple[int, int], layer.padding),
            layer.dilation,
            clients * layer.groups,
        )
        return _channels_to_clients(outputs, clients)


class _BatchNorm2d(nn.Module):
    """A batch norm in training for each client.

    Weight, bias, running_mean and running_var are (clients, channels).
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = (cast(nn.BatchNorm2d, layer),)

    def forward(self, images: Tensor) -> Tensor:
        (layer,) = self._layer
        clients = len(self.weight)
        # Copies, as the rows are not contiguous; written back below.
        mean = self.running_mean.flatten()
        variance = self.running_var.flatten()
        outputs = F.batch_norm(
            _clients_to_channels(images, clients),
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
        return _channels_to_clients(outputs, clients)


_LAYERS: dict[type[nn.Module], Callable[[nn.Module], nn.Module]] = {
    nn.Linear: _Linear,
    nn.Conv2d: _Conv2d,
    nn.BatchNorm2d: _BatchNorm2d,
}


def _stacked(model: nn.Module) -> nn.Module:
    """A copy of `model` with stacked layers, which have no values yet."""
    stacked = copy.deepcopy(model)
    for name, module in list(stacked.named_modules()):
        if type(module) in _LAYERS:
            parent, _, own = name.rpartition(".")
            setattr(stacked.get_submodule(parent), own, _LAYERS[type(module)](module))
    return stacked


def _clients_to_channels(images: Tensor, clients: int) -> Tensor:
    """(clients * batch, channels, h, w) to (batch, clients * channels, h, w)."""
    return torch.unflatten(images, 0, (clients, -1)).transpose(0, 1).flatten(1, 2)


def _channels_to_clients(images: Tensor, clients: int) -> Tensor:
    """(batch, clients * channels, h, w) to (clients * batch, channels, h, w)."""
    return torch.unflatten(images, 1, (clients, -1)).transpose(0, 1).flatten(0, 1)
