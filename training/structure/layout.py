"""The flat vector of a model: personal part first, shared part behind it, buffers last."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from wirelessfl.errors import InputError

Part = Literal["personal", "shared", "all"]


@dataclass(frozen=True)
class Entry:
    """Where one tensor of a model lies in the flat vector."""

    name: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Number of numbers."""
        return math.prod(self.shape)

    @property
    def slice(self) -> slice:
        """The numbers of this tensor in the flat vector."""
        return slice(self.offset, self.offset + self.size)


@dataclass(frozen=True)
class Layout:
    """Order of all numbers of a model in one vector: [v | u | shared buffers | personal buffers], w
    = [v, u] of [WFL].

    The personal part v (`personal_size` weights, convolutions in [WFL]) comes first, the shared
    part u behind it; both in the order of `named_parameters`. Behind these `parameter_size` weights
    come the floating-point buffers, which are the running means and variances of BatchNorm: not
    trained, but learnt. A buffer is personal when its module is. `size` counts everything.
    """

    entries: tuple[Entry, ...]
    personal_size: int
    parameter_size: int
    personal_buffer_size: int
    size: int

    @classmethod
    def of(cls, model: nn.Module, personal: Sequence[str] = ()) -> "Layout":
        """The layout of `model` whose sub-modules named in `personal` form the personal part.

        Raises `InputError` for a model with dropout, as local training is a function of the flat
        vector and of seeded batches and drawn units are part of neither, and for BatchNorm whose
        running mean counts batches (`momentum=None`): the count is no part of the vector.
        """
        for module in model.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                raise InputError(f"training.model {type(model).__name__} must have no dropout")
            if isinstance(module, nn.modules.batchnorm._NormBase) and module.momentum is None:
                raise InputError(
                    f"training.model {type(model).__name__} must fix the momentum of batch norm"
                )
        weights, buffers = list(model.named_parameters()), list(_float_buffers(model))
        mine, theirs = _divide(weights, personal)
        my_buffers, their_buffers = _divide(buffers, personal)
        entries, offset = [], 0
        for name, tensor in mine + theirs + their_buffers + my_buffers:
            entries.append(Entry(name, tuple(tensor.shape), offset))
            offset += tensor.numel()
        return cls(tuple(entries), _count(mine), _count(weights), _count(my_buffers), offset)

    @property
    def parameters(self) -> tuple[Entry, ...]:
        """The entries that are trained."""
        return tuple(entry for entry in self.entries if entry.offset < self.parameter_size)

    @property
    def personal(self) -> slice:
        """The personal part v."""
        return slice(0, self.personal_size)

    @property
    def shared(self) -> slice:
        """The shared part u."""
        return slice(self.personal_size, self.parameter_size)

    @property
    def buffers(self) -> slice:
        """The buffers, shared ones first."""
        return slice(self.parameter_size, self.size)

    @property
    def upload(self) -> slice:
        """What goes to the server: the shared part u and the shared buffers behind it."""
        return slice(self.personal_size, self.size - self.personal_buffer_size)

    @property
    def shared_size(self) -> int:
        """Number of weights of the shared part."""
        return self.parameter_size - self.personal_size

    @property
    def shared_buffer_size(self) -> int:
        """Number of numbers in shared buffers."""
        return self.size - self.parameter_size - self.personal_buffer_size

    @property
    def batch_norm(self) -> bool:
        """Whether the model has running statistics of batch norm."""
        return self.parameter_size < self.size

    @property
    def smallest_batch(self) -> int:
        """Samples that a mini-batch must have: 2 for a model with running statistics, one sample
        has no variance.
        """
        return 2 if self.batch_norm else 1

    @property
    def upload_size(self) -> int:
        """Number of numbers that a client without pruning sends."""
        return self.shared_size + self.shared_buffer_size

    def part(self, part: Part) -> slice:
        """The weights of a part, in one piece."""
        return {
            "personal": self.personal,
            "shared": self.shared,
            "all": slice(0, self.parameter_size),
        }[part]

    def flatten(self, model: nn.Module) -> Tensor:
        """A copy of the parameters and buffers of `model` as one float32 vector, shape (size,)."""
        tensors = _tensors(model)
        return torch.cat([tensors[entry.name].detach().reshape(-1) for entry in self.entries])

    def bind(self, model: nn.Module, vector: Tensor, gradient: Tensor) -> None:
        """Make `model` live in flat vectors: parameters and buffers are views of `vector` (size,),
        gradients of `gradient` (parameter_size,).
        """
        tensors = _tensors(model)
        for entry in self.entries:
            tensors[entry.name].data = vector[entry.slice].view(entry.shape)
        for entry in self.parameters:
            tensors[entry.name].grad = gradient[entry.slice].view(entry.shape)
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._NormBase):
                module.num_batches_tracked = (
                    None  # one addition per layer and step for a number nobody reads
                )


def _float_buffers(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    return ((name, buffer) for name, buffer in model.named_buffers() if buffer.is_floating_point())


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return dict(model.named_parameters()) | dict(_float_buffers(model))


def _divide(
    named: Sequence[tuple[str, Tensor]], modules: Sequence[str]
) -> tuple[list[tuple[str, Tensor]], list[tuple[str, Tensor]]]:
    """Those that belong to one of `modules`, and the others."""
    mine = [item for item in named if _belongs(item[0], modules)]
    return mine, [item for item in named if not _belongs(item[0], modules)]


def _count(named: Sequence[tuple[str, Tensor]]) -> int:
    return sum(tensor.numel() for _, tensor in named)


def _belongs(name: str, modules: Sequence[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)
