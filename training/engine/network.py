"""A model whose parameters and buffers are views of flat vectors."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.structure.layout import Layout, Part
from wirelessfl.errors import InputError, check_choice


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of (output - target)^2 over a batch."""
    return F.mse_loss(outputs.view_as(targets), targets)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": F.cross_entropy,
    "squared-error": _squared_error,
}


class Trainable(Protocol):
    """Weights that the phases of a program train, of one client or of several stacked clients.

    Attributes:
        layout: Layout of one client's vector.
        vector: Weights and buffers, (size,) or (clients, size).
        gradient: Gradient of the parameters, (parameter_size,) or (clients, parameter_size).
    """

    layout: Layout
    vector: Tensor
    gradient: Tensor

    def require(self, part: Part) -> None:
        """Restrict gradients to one part.

        Args:
            part: The part that is trained next.
        """
        ...

    def backward(self, inputs: Tensor, targets: Tensor, feature_penalty: float = 0.0) -> Tensor:
        """Put each client's gradient of its mean loss into `gradient`.

        Args:
            inputs: Normalised inputs, (batch, ...), of all clients one after the other.
            targets: Labels or numbers, (batch,).
            feature_penalty: Factor of the mean feature norm in the differentiated objective.

        Returns:
            The loss without the penalty, () or (clients,), on the device.
        """
        ...

    def training(self, mode: bool) -> None:
        """Switch batch norm between training and evaluation.

        Args:
            mode: True for the statistics of the batch, which update the running ones; False for the
                running ones.
        """
        ...

    def join(self, rows: Sequence[Tensor]) -> Tensor:
        """Join one vector of each client in the shape of `vector`.

        Args:
            rows: A vector (n,) of each client.

        Returns:
            (n,) or (clients, n).
        """
        ...

    def divide(self, vectors: Tensor) -> Sequence[Tensor]:
        """Divide joined vectors: the inverse of `join`.

        Args:
            vectors: (n,) or (clients, n).

        Returns:
            A vector (n,) of each client.
        """
        ...


class Network:
    """A model whose parameters and buffers are views of `vector`, its gradients of `gradient`.

    A step of SGD is then a few operations on vectors, whatever the number of tensors. The loss is
    the model's class variable `loss`, by default cross-entropy. A model with its gradient in closed
    form has a method `gradient(inputs, targets)`, which adds the gradient of the mean loss to the
    `grad` of every parameter and returns the loss; autograd is then not used.

    Attributes:
        model: The model, on its device.
        layout: Layout of the vectors.
        loss: Name of the loss, a key of `LOSSES`.
        vector: Weights and buffers, (size,) float32.
        gradient: Gradient of the parameters, (parameter_size,) float32.
        bfloat16: Whether forward and backward passes run under autocast in bfloat16; weights,
            gradients and the evaluation stay float32, and the closed form is not used.
        classifies: Whether outputs are class scores.
    """

    def __init__(
        self,
        model: nn.Module,
        layout: Layout,
        device: torch.device,
        precision: str = "float32",
        vector: Tensor | None = None,
        gradient: Tensor | None = None,
    ) -> None:
        """Bind a model to flat vectors.

        Args:
            model: The model; its parameters and buffers become views.
            layout: Its layout.
            device: Device of the vectors.
            precision: "float32", "tf32" or "bfloat16".
            vector: Storage for weights and buffers, (size,), such as a row of a stack; new if None.
            gradient: Storage for the gradient, (parameter_size,); new if None.

        Raises:
            InputError: The model's `loss` is not known.
        """
        name: str = getattr(model, "loss", "cross-entropy")
        check_choice("loss of training.model", name, LOSSES)
        self.layout = layout
        self.loss = name
        self.model = model.to(device)
        self.vector = torch.zeros(layout.size, device=device) if vector is None else vector
        self.gradient = (
            torch.zeros(layout.parameter_size, device=device) if gradient is None else gradient
        )
        layout.bind(self.model, self.vector, self.gradient)
        self._loss = LOSSES[name]
        self.bfloat16 = precision == "bfloat16"
        self._closed_form: Callable[[Tensor, Tensor], Tensor] | None = (
            None if self.bfloat16 else getattr(model, "gradient", None)
        )
        self._parameters = dict(self.model.named_parameters())
        self.classifies = name == "cross-entropy"

    def require(self, part: Part) -> None:
        """Restrict gradients to one part: autograd stops where no earlier layer is trained.

        Args:
            part: The part that is trained next.
        """
        for entry in self.layout.parameters:
            personal = entry.offset < self.layout.personal_size
            self._parameters[entry.name].requires_grad_(
                part == "all" or (part == "personal") == personal
            )

    def backward(self, inputs: Tensor, targets: Tensor, feature_penalty: float = 0.0) -> Tensor:
        """Put the gradient of the mean loss into `gradient`.

        Args:
            inputs: Normalised inputs, (batch, ...).
            targets: Labels or numbers, (batch,).
            feature_penalty: Factor of the mean feature norm in the differentiated objective.

        Returns:
            The loss without the penalty, (), on the device.
        """
        self.gradient.zero_()
        if self._closed_form is not None and not feature_penalty:
            return self._closed_form(inputs, targets).detach()
        with (
            autocast(self.vector.device, self.bfloat16),
            reading(self.model, feature_penalty > 0) as features,
        ):
            outputs = self.model(inputs)
        loss = self._loss(outputs.float(), targets)
        objective = loss + feature_penalty * norms(features[0]).mean() if features else loss
        torch.autograd.backward(objective)
        return loss.detach()

    def training(self, mode: bool) -> None:
        """Switch batch norm between training and evaluation.

        Args:
            mode: True for the statistics of the batch, which update the running ones; False for the
                running ones.
        """
        if self.layout.batch_norm:  # no other layer has a second mode
            self.model.train(mode)

    def join(self, rows: Sequence[Tensor]) -> Tensor:
        """The vector of the one client.

        Args:
            rows: One vector (n,).

        Returns:
            The vector (n,).
        """
        (row,) = rows
        return row

    def divide(self, vectors: Tensor) -> Sequence[Tensor]:
        """The vector of the one client in a sequence.

        Args:
            vectors: A vector (n,).

        Returns:
            One vector (n,).
        """
        return (vectors,)


@contextmanager
def reading(model: nn.Module, wanted: bool) -> Iterator[list[Tensor]]:
    """Record the features of a forward pass inside the context.

    Features are the inputs of the layer that the model's class names as its `feature_layer`.

    Args:
        model: The model whose forward pass runs inside.
        wanted: Whether features are recorded; else the list stays empty.

    Yields:
        A list that receives the features, (batch, ...).

    Raises:
        InputError: The model names no `feature_layer`.
    """
    features: list[Tensor] = []
    if not wanted:
        yield features
        return
    layer: str | None = getattr(model, "feature_layer", None)
    if layer is None:
        raise InputError(
            f"training.model {type(model).__name__} must name a feature_layer for a feature penalty"
        )
    handle = model.get_submodule(layer).register_forward_pre_hook(
        lambda _, read: features.append(read[0])
    )
    try:
        yield features
    finally:
        handle.remove()


def norms(features: Tensor) -> Tensor:
    """Euclidean norm |f|_2 of every sample's features.

    Args:
        features: (batch, ...).

    Returns:
        Norms, (batch,); the gradient at 0 is 0.
    """
    lengths: Tensor = torch.linalg.vector_norm(features.float().flatten(1), dim=1)
    return lengths


def autocast(device: torch.device, bfloat16: bool) -> torch.autocast:
    """Context in which matrix products and convolutions may use bfloat16.

    Args:
        device: Device of the computation.
        bfloat16: Whether bfloat16 is used.

    Returns:
        The autocast context, disabled without `bfloat16`.
    """
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16)
