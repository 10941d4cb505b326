"""Settings of an engine besides its data; torch is imported when a model is made."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from training.structure.form import Form
from training.structure.layout import Layout
from training.structure.personal import Personal, personal_parts
from training.structure.shapes import Shapes, known_shapes
from wirelessfl.errors import InputError

if TYPE_CHECKING:  # torch takes a second, and a plan needs shapes only
    from torch import nn

    from training.data.federated import FederatedData
    from training.engine.engine import Engine


class ModelTask(Protocol):
    """The part of a learning task that an engine is made for: `training.task.Task` has it."""

    @property
    def model(self) -> str:
        """Name of the model's plug-in."""
        ...

    @property
    def form(self) -> Form:
        """Shape of the inputs, number of classes and width that the model is made for."""
        ...

    @property
    def batch_size(self) -> int:
        """Samples of a mini-batch."""
        ...

    @property
    def personal(self) -> Personal:
        """Parts that stay with the clients, see `training.structure.personal`."""
        ...


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """Settings of an engine besides its data, small enough to be sent to another process.

    Attributes:
        model: Name of the model's plug-in.
        personalised: Whether the model's personal sub-modules stay with the clients; else the
            personal part is empty.
        batch_size: Samples of a mini-batch.
        device: Name of the torch device, such as "cpu" or "cuda:0".
        precision: "float32", "tf32" (products on CUDA with 10 bits of the fraction), or "bfloat16"
            for forward and backward passes under autocast.
        deterministic: Whether CUDA uses deterministic algorithms only.
        form: Form in which the model is made: that of the data.
        personal: Parts that stay with the clients if `personalised`; the model's own if None.
        compiled: Whether the steps of chains of linear layers run compiled.
    """

    model: str
    personalised: bool
    batch_size: int
    device: str
    precision: str = "float32"
    deterministic: bool = False
    form: Form = field(default_factory=Form)
    personal: Personal = None
    compiled: bool = False

    @classmethod
    def of(
        cls, task: ModelTask, *, personalised: bool = False, device: str = "cpu"
    ) -> "EngineSpec":
        """The engine for the model and the mini-batches of a task.

        Args:
            task: The learning task, such as a `training.task.Task`.
            personalised: Whether the model's personal sub-modules stay with the clients.
            device: Name of the torch device.

        Returns:
            A specification in float32, not deterministic on CUDA.

        Raises:
            InputError: The model cannot be made for the task's data set.
        """
        return cls(
            model=task.model,
            form=task.form,
            personalised=personalised,
            batch_size=task.batch_size,
            device=device,
            personal=task.personal,
        )

    def layout(self) -> Layout:
        """The layout of the model; a built-in one in its usual form is not made.

        Returns:
            The layout of its flat vector.

        Raises:
            InputError: `personalised` and the model has no personal or no shared part.
        """
        shapes = known_shapes(self.model, self.form)
        if shapes is None:
            return self.build_model()[1]
        return self._checked(Layout.of_shapes(shapes, self._personal(shapes)))

    def build_model(self) -> "tuple[nn.Module, Layout]":
        """A new model and its layout.

        Returns:
            The model in `form`, and the layout of its flat vector.

        Raises:
            InputError: `personalised` and the model has no personal or no shared part.
        """
        from training.structure.build import build

        model = build(self.model, self.form)
        return model, self._checked(Layout.of(model, self._personal(Shapes.of(model))))

    def build(self, data: "FederatedData") -> "Engine":
        """The engine on a data set.

        Args:
            data: Training and test data of all clients.

        Returns:
            An engine with a model of its own.

        Raises:
            InputError: The model does not fit the specification or the data.
        """
        import torch

        from training.engine.engine import Engine

        model, layout = self.build_model()
        return Engine(
            model,
            layout,
            data,
            batch_size=self.batch_size,
            device=torch.device(self.device),
            personal=self._personal(Shapes.of(model)),
            precision=self.precision,
            deterministic=self.deterministic,
            compiled=self.compiled,
        )

    def _personal(self, shapes: Shapes) -> tuple[str, ...]:
        return personal_parts(shapes, self.personal, self.model) if self.personalised else ()

    def _checked(self, layout: Layout) -> Layout:
        if self.personalised and not 0 < layout.personal_size < layout.parameter_size:
            part = "personal" if layout.personal_size == 0 else "shared"
            raise InputError(
                f"training.model {self.model!r} must have a personal and a shared part, got no "
                f"{part} one: choose its parts by training.personal, or 'none'"
            )
        return layout
