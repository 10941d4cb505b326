"""Multiply-accumulates of a model, from the shapes of its layers."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


def layer_macs(model: nn.Module) -> dict[str, int]:
    """Multiply-accumulates of one sample's forward pass.

    Every weight is used once for each position of its layer's output. Biases, norms, pools and
    activations are not counted.

    Args:
        model: A model with `input_shape`; a copy of it is run on zeros.

    Returns:
        The count for each convolution and linear layer by name, in order of use.
    """
    weights = dict(model.named_parameters())
    macs = {}
    for name, positions in layer_positions(model).items():
        weight = weights[f"{name}.weight"]
        if weight.ndim > 1:  # not a norm
            macs[name] = positions * weight.numel()
    return macs


def layer_positions(model: nn.Module) -> dict[str, int]:
    """Number of positions (pixels; 1 without an image) at which a forward pass uses each layer.

    Args:
        model: A model with `input_shape`; a copy of it is run on zeros.

    Returns:
        The number for each convolution, linear layer and batch norm by name, in order of use.
    """
    # On the CPU, not on `meta`, where a first forward pass imports torch._dynamo: two seconds.
    shadow = copy.deepcopy(model).to("cpu", torch.float32).eval()
    positions: dict[str, int] = {}

    def count(name: str) -> Any:
        def hook(layer: Any, _inputs: Any, output: Tensor) -> None:
            positions[name] = positions.get(name, 0) + output.numel() // len(layer.weight)

        return hook

    for name, layer in shadow.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
            layer.register_forward_hook(count(name))
    input_shape: Any = model.input_shape
    with torch.no_grad():
        tokens = getattr(model, "vocabulary", None) is not None
        shadow(torch.zeros(1, *input_shape, dtype=torch.int64 if tokens else torch.float32))
    return positions
