"""Exact losses, gradients, Hessian products and gradient noise of the clients' objectives."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from training.arrays import Floats, Vector
from training.data.federated import FederatedData
from training.engine.network import LOSSES
from training.engine.spec import EngineSpec
from wirelessfl.errors import InputError

Product = Callable[[Floats], Floats]
_GRADIENTS_AT_ONCE = 1 << 22  # float64 values of single samples, 32 MB


class Noise(NamedTuple):
    """Second moments of the gradient of a random mini-batch about the full gradient.

    Attributes:
        personal: E||g_v - grad_v F_k||^2 on the personal part.
        shared: E||g_u - grad_u F_k||^2 on the shared part.
    """

    personal: float
    shared: float


class LocalObjectives:
    """The objectives F_k: means of the loss over all training samples of a client, in float64.

    The engine trains on mini-batches in float32; this class serves to measure what theorems assume
    about F_k.

    Attributes:
        clients: Number of clients K.
        layout: Layout of the model's flat vector.
    """

    def __init__(self, spec: EngineSpec, data: FederatedData) -> None:
        """Make the model, and normalise the samples.

        Args:
            spec: Model, loss, and size of mini-batches.
            data: Training samples of all clients.

        Raises:
            InputError: The model has batch norm, by which the loss of a sample depends on others.
        """
        model, self.layout = spec.build_model()
        if self.layout.batch_norm:
            raise InputError(
                "training.bound_every must be 0 for a model with batch norm, whose F_k is no mean "
                f"over samples, got training.model {spec.model!r}"
            )
        self.clients = len(data.train_index)
        self._model = model.double()
        self._loss = LOSSES[getattr(model, "loss", "cross-entropy")]
        self._batch_size = spec.batch_size
        self._data = data

    def loss(self, client: int, vector: Vector) -> float:
        """The loss F_k.

        Args:
            client: Index of the client.
            vector: Weights, (size,).

        Returns:
            Mean over the client's training samples.
        """
        with torch.no_grad():
            return float(self._mean_loss(_tensor(vector), *self._samples(client)))

    def gradient(self, client: int, vector: Vector) -> Floats:
        """The gradient of F_k.

        Args:
            client: Index of the client.
            vector: Weights, (size,).

        Returns:
            Gradient, (parameter_size,), the personal part first.
        """
        weights = _tensor(vector).requires_grad_()
        loss = self._mean_loss(weights, *self._samples(client))
        return self._parameters(torch.autograd.grad(loss, weights)[0])

    def hessian(self, client: int, vector: Vector) -> Product:
        """Products with the Hessian of F_k at a point, which share one forward pass.

        Args:
            client: Index of the client.
            vector: Weights, (size,).

        Returns:
            Maps a direction (parameter_size,) to its product with the Hessian.
        """
        weights = _tensor(vector).requires_grad_()
        loss = self._mean_loss(weights, *self._samples(client))
        slope = torch.autograd.grad(loss, weights, create_graph=True)[0]

        def product(direction: Floats) -> Floats:
            whole = torch.zeros_like(slope)
            whole[: len(direction)] = torch.from_numpy(np.ascontiguousarray(direction))
            return self._parameters(
                torch.autograd.grad(slope, weights, whole, retain_graph=True)[0]
            )

        return product

    def noise(self, client: int, vector: Vector) -> Noise:
        """Variance of the gradient of a mini-batch that is drawn without replacement.

        Of n samples with gradients g_i a batch of B has (1/B - 1/n) sum_i ||g_i - g||^2 / (n - 1).

        Args:
            client: Index of the client.
            vector: Weights, (size,).

        Returns:
            The variances of both parts, summed over their weights.
        """
        inputs, targets = self._samples(client)
        count = len(targets)
        batch = min(self._batch_size, count)
        if batch == count:
            return Noise(0.0, 0.0)
        mean = self.gradient(client, vector)
        squares = np.zeros_like(mean)
        for gradients in self._each_gradient(_tensor(vector), inputs, targets):
            squares += ((gradients - mean) ** 2).sum(axis=0)
        variance = squares * (1.0 / batch - 1.0 / count) / (count - 1)
        return Noise(
            float(variance[self.layout.personal].sum()), float(variance[self.layout.shared].sum())
        )

    def _each_gradient(self, weights: Tensor, inputs: Tensor, targets: Tensor) -> Iterator[Floats]:
        """Gradients of single samples, a few (n, parameter_size) at a time."""
        each = vmap(
            grad(lambda at, row, target: self._mean_loss(at, row[None], target[None])), (None, 0, 0)
        )
        at_once = max(1, _GRADIENTS_AT_ONCE // self.layout.size)
        for rows, labels in zip(inputs.split(at_once), targets.split(at_once), strict=True):
            yield each(weights, rows, labels)[:, : self.layout.parameter_size].numpy()

    def _mean_loss(self, weights: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        parameters = {
            entry.name: weights[entry.slice].view(entry.shape) for entry in self.layout.entries
        }
        return self._loss(functional_call(self._model, parameters, (inputs,)), targets)

    def _samples(self, client: int) -> tuple[Tensor, Tensor]:
        """Normalised inputs and targets of a client; tokens remain numbers."""
        index = self._data.train_index[client]
        inputs, targets = self._data.train_images[index], self._data.train_labels[index]
        if inputs.dtype == torch.uint8:
            inputs = (inputs.double() - self._data.mean) / self._data.std
        elif inputs.is_floating_point():
            inputs = inputs.double()
        return inputs, targets.double() if targets.is_floating_point() else targets

    def _parameters(self, whole: Tensor) -> Floats:
        values: Floats = whole[: self.layout.parameter_size].numpy()
        return values


def _tensor(vector: Vector) -> Tensor:
    return torch.from_numpy(vector.astype(np.float64))
