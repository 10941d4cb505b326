"""The flat vector of a model's parameters: personal part first, shared part behind it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wirelessfl.errors import InputError


@dataclass(frozen=True)
class Entry:
    """Where one parameter tensor lies in the flat vector."""

    name: str
    shape: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)

    @property
    def slice(self) -> slice:
        """The weights of this tensor in the flat vector."""
        return slice(self.offset, self.offset + self.size)


@dataclass(frozen=True)
class Layout:
    """Order of all parameters of a model in one vector of `size` weights: w = [v, u] of [WFL].

    The personal part v (`personal_size` weights, convolutions in [WFL]) comes first, the shared part u behind it;
    both in the order of `named_parameters`.
    """

    entries: tuple[Entry, ...]
    personal_size: int
    size: int

    @classmethod
    def of(cls, model: nn.Module, personal: Sequence[str] = ()) -> "Layout":
        """The layout of `model` whose sub-modules named in `personal` form the personal part.

        Raises `InputError` for a model with buffers or dropout: local training is a function of the flat vector and
        of seeded batches, and neither running statistics nor drawn units are part of those.
        """
        if any(True for _ in model.buffers()) or any(
            isinstance(module, nn.modules.dropout._DropoutNd) for module in model.modules()
        ):
            raise InputError(f"training.model {type(model).__name__} must have no buffers (batch norm) and no dropout")
        named = list(model.named_parameters())
        mine = [item for item in named if _belongs(item[0], personal)]
        entries, offset, personal_size = [], 0, sum(parameter.numel() for _, parameter in mine)
        for name, parameter in mine + [item for item in named if not _belongs(item[0], personal)]:
            entries.append(Entry(name, tuple(parameter.shape), offset))
            offset += parameter.numel()
        return cls(tuple(entries), personal_size, offset)

    @property
    def personal(self) -> slice:
        """The personal part v."""
        return slice(0, self.personal_size)

    @property
    def shared(self) -> slice:
        """The shared part u."""
        return slice(self.personal_size, self.size)

    @property
    def shared_size(self) -> int:
        """Number of weights of the shared part."""
        return self.size - self.personal_size

    def flatten(self, model: nn.Module) -> Tensor:
        """A copy of the parameters of `model` as one float32 vector, shape (size,)."""
        parameters = dict(model.named_parameters())
        return torch.cat([parameters[entry.name].detach().reshape(-1) for entry in self.entries])

    def bind(self, model: nn.Module, vector: Tensor, gradient: Tensor) -> None:
        """Make the parameters of `model` views of `vector` and their gradients views of `gradient`, both (size,)."""
        parameters = dict(model.named_parameters())
        for entry in self.entries:
            parameters[entry.name].data = vector[entry.slice].view(entry.shape)
            parameters[entry.name].grad = gradient[entry.slice].view(entry.shape)


def _belongs(name: str, modules: Sequence[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)
