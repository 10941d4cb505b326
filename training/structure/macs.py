"""Multiply-accumulates of a model, read off its layers."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


def layer_macs(model: nn.Module) -> dict[str, int]:
    """Multiply-accumulates of one forward pass over one sample, for each convolution and linear
    layer by name.

    Every weight is used once per position of its layer's output; biases, norms, pools and
    activations are left out. `model` needs `input_shape`; it is not run and not changed.
    """
    weights = dict(model.named_parameters())
    used = (
        (name, weights[f"{name}.weight"], count) for name, count in layer_positions(model).items()
    )
    return {
        name: count * weight.numel() for name, weight, count in used if weight.ndim > 1
    }  # norms have one axis


def layer_positions(model: nn.Module) -> dict[str, int]:
    """Positions (pixels, 1 without an image) at which one sample's forward pass uses each
    convolution, linear layer and batch norm, by name in the order of use.
    """
    shadow = copy.deepcopy(model).to("meta", torch.float32).eval()  # shapes without numbers
    positions: dict[str, int] = {}

    def count(name: str) -> Any:
        def hook(layer: Any, _inputs: Any, output: Tensor) -> None:
            positions[name] = positions.get(name, 0) + output.numel() // len(layer.weight)

        return hook

    for name, layer in shadow.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
            layer.register_forward_hook(count(name))
    input_shape: Any = model.input_shape
    shadow(torch.zeros(1, *input_shape, device="meta"))
    return positions
