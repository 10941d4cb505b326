"""Digits of a gradient behind batch norm in float32: one batch, as the engine trains on it, against float64."""

import copy

import pytest
import torch
import torch.nn.functional as F

from training.engine import EngineSpec
from training.models._build import Form
from training.task import Task

BATCH = 32
MODELS = {
    "resnet20": ("resnet20", 1.0, 1),
    "resnet20 in colour": ("resnet20", 1.0, 3),
    "vgg16": ("vgg16", 0.25, 3),
}


def batch_and_network(model, width, channels):
    """The first batch of a client and the engine's network, with seeded weights."""
    form = Form(input_shape=(channels, 32, 32), classes=10, width=width)
    spec = EngineSpec(model=model, personalised=False, batch_size=BATCH, device="cpu", form=form)
    task = Task(image_size=32, image_channels=channels, model=model, width=width, partition="iid")
    engine = spec.build(task.load(clients=1, seed=0, data_root=None))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        seeded, layout = spec.build_model()
    network = engine._network
    network.vector.copy_(layout.flatten(seeded))
    network.require("all")
    network.training(True)
    return network, next(engine.batches.steps(0, 0, 1))


@pytest.mark.parametrize("name", MODELS)
def test_a_gradient_has_the_digits_of_float32(name):
    """Differences of 3e-3 to 3e-2 where batch norm sums in one float32 sum over samples and pixels."""
    network, (images, labels) = batch_and_network(*MODELS[name])
    exact = copy.deepcopy(network.model).double()
    exact.zero_grad()
    F.cross_entropy(exact(images.double().contiguous()), labels).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in exact.parameters()])
    network.backward(images, labels)
    error = (network.gradient.double() - expected).norm() / expected.norm()
    print(name, float(error))
    assert error < 1e-4
