"""A model that lives in flat vectors."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.structure.layout import Layout, Part
from wirelessfl.errors import InputError, check_choice


def _squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of (output - target)^2 over all numbers of a batch."""
    return F.mse_loss(outputs.view_as(targets), targets)


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": F.cross_entropy,
    "squared-error": _squared_error,
}


class Trainable(Protocol):
    """What the phases of a program train: the numbers of one client, (n,), or of a stack of
    clients, (clients, n).
    """

    layout: Layout
    vector: Tensor
    gradient: Tensor

    def require(self, part: Part) -> None:
        """Gradients for `part` only."""
        ...

    def backward(self, inputs: Tensor, targets: Tensor, feature_penalty: float = 0.0) -> Tensor:
        """Put each client's gradient of its mean loss into `gradient`; the loss of each, on the
        device.

        With `feature_penalty` the gradient is that of the loss + `feature_penalty` x mean
        |features|.
        """
        ...

    def training(self, mode: bool) -> None:
        """BatchNorm by the batch's own statistics (which move the running ones) or by the running
        ones.
        """
        ...

    def join(self, rows: Sequence[Tensor]) -> Tensor:
        """Numbers of each client in the shape of `vector`."""
        ...

    def divide(self, values: Tensor) -> Sequence[Tensor]:
        """The numbers of each client, as they were joined."""
        ...


class Network:
    """A model whose numbers are views of `vector` (size,), its gradients views of `gradient`
    (parameter_size,).

    So a step of SGD is a few operations on vectors, however many tensors there are. The loss is the
    model's class variable `loss`, cross-entropy without one. A model that can write its gradient
    down in closed form has a method `gradient(inputs, targets)`: it adds the gradient of the mean
    loss to the `grad` of every parameter and gives the loss; autograd is then not asked.

    With `precision` "bfloat16" the forward and backward pass run under autocast, which knows no
    closed form; weights, gradients and the evaluation stay float32. `vector` and `gradient` may be
    given: rows of a stack.
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
        name: str = getattr(model, "loss", "cross-entropy")
        check_choice("loss of training.model", name, LOSSES)
        self.layout, self.loss = layout, name
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
        """Gradients for `part` only: autograd then stops where nothing behind it is trained."""
        for entry in self.layout.parameters:
            personal = entry.offset < self.layout.personal_size
            self._parameters[entry.name].requires_grad_(
                part == "all" or (part == "personal") == personal
            )

    def backward(self, inputs: Tensor, targets: Tensor, feature_penalty: float = 0.0) -> Tensor:
        """Put the gradient of the mean loss into `gradient`; the loss, on the device."""
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
        objective.backward()
        return loss.detach()

    def training(self, mode: bool) -> None:
        """BatchNorm by the batch's own statistics (which move the running ones) or by the running
        ones.
        """
        if self.layout.batch_norm:  # no other layer knows the difference
            self.model.train(mode)

    def join(self, rows: Sequence[Tensor]) -> Tensor:
        """The one client's numbers."""
        (row,) = rows
        return row

    def divide(self, values: Tensor) -> Sequence[Tensor]:
        """The one client's numbers."""
        return (values,)


@contextmanager
def reading(model: nn.Module, wanted: bool) -> Iterator[list[Tensor]]:
    """A list that gets the features of a forward pass within, where they are `wanted`.

    They are what the layer reads that the model's class names as its `feature_layer`, (batch, ...).
    Raises `InputError` for a model that names none.
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
    """|f|_2 of every sample, (batch,); its gradient at 0 is 0."""
    return torch.linalg.vector_norm(features.float().flatten(1), dim=1)


def autocast(device: torch.device, bfloat16: bool) -> torch.autocast:
    """Matrix products and convolutions in bfloat16, where that is asked for."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16)
