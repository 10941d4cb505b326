"""Reference steps of agents, written with autograd and loops."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from training.structure.layout import Layout


def tensors(layout: Layout, vector: Tensor) -> dict[str, Tensor]:
    """The parameters that a flat vector stands for."""
    return {entry.name: vector[entry.slice].view(entry.shape) for entry in layout.parameters}


def gradient(
    model: nn.Module, layout: Layout, vector: Tensor, images: Tensor, labels: Tensor
) -> Tensor:
    """The gradient of the cross-entropy at `vector`."""
    leaf = vector.clone().requires_grad_()
    F.cross_entropy(functional_call(model, tensors(layout, leaf), (images,)), labels).backward()
    return leaf.grad


def mean_over_holders(old: Tensor, held: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Mean of each entry over the (vector, mask) whose mask has it; `old` where none does."""
    total = sum(torch.where(mask, vector, 0.0).double() for vector, mask in held)
    count = sum(mask.double() for _, mask in held)
    return torch.where(count > 0, total / count.clamp(min=1), old.double()).float()
