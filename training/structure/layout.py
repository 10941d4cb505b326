"""The flat vector of a model: personal weights, shared weights, buffers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from training.structure.shapes import Named, Shapes, belongs, float_buffers
from wirelessfl.errors import InputError

if TYPE_CHECKING:  # torch takes a second, and a plan needs shapes only
    from torch import Tensor, nn

Part = Literal["personal", "shared", "all"]


@dataclass(frozen=True)
class Entry:
    """Place of one tensor of a model in the flat vector.

    Attributes:
        name: Name of the parameter or buffer.
        shape: Shape of the tensor.
        offset: Position of its first value.
    """

    name: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def slice(self) -> slice:
        """Place of the values in the flat vector."""
        return slice(self.offset, self.offset + self.size)


@dataclass(frozen=True)
class Layout:
    """Order of all values of a model in one vector: [v | u | shared buffers | personal buffers].

    In the notation of [WFL] the weights are w = [v, u]: the personal part v (convolutions in [WFL])
    first, then the shared part u, both in the order of `named_parameters`. They are followed by the
    floating-point buffers: running means and variances of batch norm, which are not trained by
    gradients. A buffer is personal when its module is.

    Attributes:
        entries: The tensors in order.
        personal_size: Number of personal weights N_v.
        parameter_size: Number of weights N = N_v + N_u.
        personal_buffer_size: Number of values in personal buffers.
        size: Number of values in the vector.
    """

    entries: tuple[Entry, ...]
    personal_size: int
    parameter_size: int
    personal_buffer_size: int
    size: int

    @classmethod
    def of(cls, model: "nn.Module", personal: Sequence[str] = ()) -> "Layout":
        """The layout of a model.

        Args:
            model: The model.
            personal: Names of the modules and tensors that form the personal part.

        Returns:
            The layout.

        Raises:
            InputError: The model has dropout: local training is a function of the flat vector and
                of seeded mini-batches, and dropped units are part of neither. Or it has a batch
                norm whose running mean counts batches (`momentum=None`): the count is not in the
                vector.
        """
        from torch import nn

        for module in model.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                raise InputError(f"training.model {type(model).__name__} must have no dropout")
            if isinstance(module, nn.modules.batchnorm._NormBase) and module.momentum is None:
                raise InputError(
                    f"training.model {type(model).__name__} must fix the momentum of batch norm"
                )
        return cls.of_shapes(Shapes.of(model), personal)

    @classmethod
    def of_shapes(cls, shapes: Shapes, personal: Sequence[str] = ()) -> "Layout":
        """The layout of a model with these shapes.

        Args:
            shapes: Names and shapes of its tensors.
            personal: Names of the modules and tensors that form the personal part.

        Returns:
            The layout.
        """
        personal_weights, shared_weights = _divide(shapes.parameters, personal)
        personal_buffers, shared_buffers = _divide(shapes.buffers, personal)
        entries = []
        offset = 0
        for name, shape in personal_weights + shared_weights + shared_buffers + personal_buffers:
            entries.append(Entry(name, shape, offset))
            offset += math.prod(shape)
        return cls(
            entries=tuple(entries),
            personal_size=_count(personal_weights),
            parameter_size=_count(shapes.parameters),
            personal_buffer_size=_count(personal_buffers),
            size=offset,
        )

    @property
    def parameters(self) -> tuple[Entry, ...]:
        """The entries that are trained."""
        return tuple(entry for entry in self.entries if entry.offset < self.parameter_size)

    @property
    def personal(self) -> slice:
        """Place of the personal part v."""
        return slice(0, self.personal_size)

    @property
    def shared(self) -> slice:
        """Place of the shared part u."""
        return slice(self.personal_size, self.parameter_size)

    @property
    def buffers(self) -> slice:
        """Place of the buffers, shared ones first."""
        return slice(self.parameter_size, self.size)

    @property
    def upload(self) -> slice:
        """Place of the values that are sent: the shared part u and the shared buffers."""
        return slice(self.personal_size, self.size - self.personal_buffer_size)

    @property
    def shared_size(self) -> int:
        """Number of shared weights N_u."""
        return self.parameter_size - self.personal_size

    @property
    def shared_tensors(self) -> tuple[slice, ...]:
        """Places of the tensors of the shared part u, from the beginning of u."""
        first = self.personal_size
        return tuple(
            slice(entry.offset - first, entry.offset - first + entry.size)
            for entry in self.parameters
            if entry.offset >= first
        )

    @property
    def shared_buffer_size(self) -> int:
        """Number of values in shared buffers."""
        return self.size - self.parameter_size - self.personal_buffer_size

    @property
    def batch_norm(self) -> bool:
        """True for a model with running statistics of batch norm."""
        return self.parameter_size < self.size

    @property
    def smallest_batch(self) -> int:
        """Smallest mini-batch in samples: 2 with batch norm, as one has no variance."""
        return 2 if self.batch_norm else 1

    @property
    def upload_size(self) -> int:
        """Number of values that a client without pruning sends."""
        return self.shared_size + self.shared_buffer_size

    def part(self, part: Part) -> slice:
        """Place of the weights of a part, which is contiguous.

        Args:
            part: The part.

        Returns:
            A slice of the flat vector.
        """
        return {
            "personal": self.personal,
            "shared": self.shared,
            "all": slice(0, self.parameter_size),
        }[part]

    def flatten(self, model: "nn.Module") -> "Tensor":
        """A copy of the values of a model as one vector.

        Args:
            model: A model with this layout.

        Returns:
            Parameters and buffers, (size,) float32.
        """
        import torch

        tensors = _tensors(model)
        return torch.cat([tensors[entry.name].detach().reshape(-1) for entry in self.entries])

    def fill(self, model: "nn.Module", vector: "Tensor") -> None:
        """Copy the values of a vector into a model: the inverse of `flatten`.

        Args:
            model: A model with this layout; it keeps its types.
            vector: Parameters and buffers, (size,).
        """
        tensors = _tensors(model)
        for entry in self.entries:
            tensors[entry.name].data.copy_(vector[entry.slice].view(entry.shape))

    def bind(self, model: "nn.Module", vector: "Tensor", gradient: "Tensor") -> None:
        """Make the tensors of a model views of flat vectors.

        Args:
            model: A model with this layout.
            vector: Storage of parameters and buffers, (size,).
            gradient: Storage of the gradients, (parameter_size,).
        """
        from torch import nn

        tensors = _tensors(model)
        for entry in self.entries:
            tensors[entry.name].data = vector[entry.slice].view(entry.shape)
        for entry in self.parameters:
            tensors[entry.name].grad = gradient[entry.slice].view(entry.shape)
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase):
                # The counter is not used; without it each step saves an addition in each layer.
                module.num_batches_tracked = None


def _tensors(model: "nn.Module") -> "dict[str, Tensor]":
    return dict(model.named_parameters()) | dict(float_buffers(model))


def _divide(named: Sequence[Named], modules: Sequence[str]) -> tuple[list[Named], list[Named]]:
    """The tensors that belong to one of `modules`, and the others."""
    belonging = [item for item in named if belongs(item[0], modules)]
    return belonging, [item for item in named if not belongs(item[0], modules)]


def _count(named: Sequence[Named]) -> int:
    return sum(math.prod(shape) for _, shape in named)
