"""Reference steps of agents, written with autograd and loops."""

import torch
import torch.nn.functional as F
from torch.func import functional_call


def tensors(layout, vector):
    """The parameters that a flat vector stands for."""
    return {entry.name: vector[entry.slice].view(entry.shape) for entry in layout.parameters}


def gradient(model, layout, vector, images, labels):
    """The gradient of the cross-entropy at `vector`."""
    leaf = vector.clone().requires_grad_()
    F.cross_entropy(functional_call(model, tensors(layout, leaf), (images,)), labels).backward()
    return leaf.grad


def mean_over_holders(old, held):
    """Mean of each number over the (vector, mask) that have it, `old` where none does."""
    total = sum(torch.where(mask, vector, 0.0).double() for vector, mask in held)
    count = sum(mask.double() for _, mask in held)
    return torch.where(count > 0, total / count.clamp(min=1), old.double()).float()
