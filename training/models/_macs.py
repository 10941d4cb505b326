"""Multiply-accumulates of a model, read off its layers."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


def layer_macs(model: nn.Module) -> dict[str, int]:
    """Multiply-accumulates of one forward pass over one sample, for each convolution and linear layer by name.

    An output number costs one multiply-accumulate per weight that feeds it: numel(output) x numel(weight[0]); biases,
    pools and activations are left out. `model` needs `input_shape`; it is not run and not changed.
    """
    shadow = copy.deepcopy(model).to("meta").eval()  # shapes without numbers
    macs: dict[str, int] = {}

    def count(name: str) -> Any:
        def hook(layer: Any, _inputs: Any, output: Tensor) -> None:
            macs[name] = macs.get(name, 0) + output.numel() * layer.weight[0].numel()

        return hook

    for name, layer in shadow.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count(name))
    shadow(torch.zeros(1, *model.input_shape, device="meta"))  # type: ignore[misc]
    return macs
