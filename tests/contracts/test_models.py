"""What every model keeps."""

import copy

import pytest
import torch
from torch import nn

from training.models._macs import layer_macs
from wirelessfl import plugins


@pytest.fixture(params=plugins.names("models"))
def model(request):
    torch.manual_seed(0)
    return plugins.load("models", request.param)()


def _images(model, count=3):
    return torch.randn(count, *model.input_shape, generator=torch.Generator().manual_seed(1))


def test_logits_of_the_declared_shape(model):
    assert model(_images(model)).shape == (3, model.classes)


def test_personal_names_are_modules_and_leave_something_global(model):
    parts = {name.split(".")[0] for name, _ in model.named_parameters()}
    assert set(model.personal) <= parts
    assert parts - set(model.personal)


def test_personal_part_is_the_convolutions(model):
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            assert (name.split(".")[0] in model.personal) == isinstance(module, nn.Conv2d)


def test_every_parameter_learns(model):
    nn.functional.cross_entropy(model(_images(model, 32)), torch.arange(32) % model.classes).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_initial_weights_are_a_function_of_the_seed(model):
    torch.manual_seed(0)
    again = type(model)()
    torch.manual_seed(1)
    other = type(model)()
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, again.get_parameter(name))
        assert not torch.equal(parameter, other.get_parameter(name))


def test_macs_cover_every_weight_and_leave_the_model_alone(model):
    before = copy.deepcopy(model.state_dict())
    macs = layer_macs(model)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))}
    assert macs.keys() == layers.keys()
    for name, layer in layers.items():
        assert macs[name] % layer.weight.numel() == 0  # each weight is used once per output position
        assert macs[name] > 0
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
