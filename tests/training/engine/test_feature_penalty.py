"""The penalty on features: a reference, stacked and parallel networks, models without features."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.federation import SPEC, made_up_data, start_vector
from helpers.small_models import SmallLogistic, engine_of, seeded
from helpers.sub_models import compact
from torch import nn

from training.engine.network import Network
from training.engine.program import LocalWork, Train
from training.executors.graph import GraphExecutor
from training.executors.loop import LoopExecutor
from training.executors.stacked import StackedExecutor
from training.models.digits_cnn import DigitsCnn
from training.models.mlp import Mlp
from training.structure.structure import Structure
from training.structure.submodel import SubModel
from wirelessfl import plugins
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams

WHOLE = dataclasses.replace(SPEC, personalised=False)
SUB = SubModel.first({"conv1": 4, "conv2": 8, "fc1": 20})


def program(penalty, steps=2):
    return (
        Train(
            part="all",
            steps=steps,
            learning_rate=0.1,
            stream="batches/shared",
            feature_penalty=penalty,
        ),
    )


def works(penalty, sub=None):
    vector, _ = start_vector(WHOLE)
    common = {
        "vector": vector,
        "program": program(penalty),
        "pruning_ratio": 0.0,
        "streams": Streams(0),
    }
    structure = Structure.of(*WHOLE.build_model())
    return [compact(structure, LocalWork(client=k, sub=sub, **common)) for k in range(3)]


@pytest.mark.parametrize(
    "model", [DigitsCnn, Mlp]
)  # the MLP's closed form does not know the penalty
def test_the_gradient_is_that_of_loss_and_penalty_and_the_loss_is_without_it(model):
    net, layout, start = seeded(model)
    inputs, labels = torch.randn(6, *model.input_shape), torch.arange(6)
    network = Network(net, layout, torch.device("cpu"))
    network.vector.copy_(torch.from_numpy(start))
    network.require("all")
    loss = network.backward(inputs, labels, 0.3)
    features = []
    net.get_submodule(model.feature_layer).register_forward_pre_hook(
        lambda _, read: features.append(read[0])
    )
    expected = F.cross_entropy(net(inputs), labels)
    objective = expected + 0.3 * features[0].square().sum(1).sqrt().mean()
    assert features[0].shape == (6, net.get_submodule(model.feature_layer).in_features)
    gradient = torch.cat(
        [part.flatten() for part in torch.autograd.grad(objective, list(net.parameters()))]
    )
    np.testing.assert_allclose(network.gradient, gradient, rtol=1e-4, atol=1e-6)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_it_makes_features_smaller_and_0_changes_no_bit():
    data = made_up_data()
    plain, none, penalised = (
        LoopExecutor(WHOLE, data).train(works(penalty)) for penalty in (0.0, 0.0, 0.5)
    )
    model, layout = WHOLE.build_model()
    network, sizes = Network(model, layout, torch.device("cpu")), []
    model.fc2.register_forward_pre_hook(
        lambda _, read: sizes.append(read[0].norm(dim=1).mean().item())
    )
    images = (data.train_images[:40].float() - data.mean) / data.std
    for one, other, smaller in zip(plain, none, penalised, strict=True):
        assert np.array_equal(one.vector, other.vector)
        for vector in (smaller.vector, one.vector):
            network.vector.copy_(torch.from_numpy(vector))
            model(images)
        assert sizes[-2] < 0.95 * sizes[-1]


@pytest.mark.parametrize("sub", [None, SUB])
@pytest.mark.parametrize("executor", [StackedExecutor, GraphExecutor])
def test_stacks_and_lanes_do_as_the_loop(executor, sub):
    stack = executor(WHOLE, made_up_data())
    loop = list(LoopExecutor(WHOLE, made_up_data()).train(works(0.5, sub)))
    for one, other in zip(stack.train(works(0.5, sub)), loop, strict=True):
        np.testing.assert_allclose(one.vector, other.vector, rtol=1e-5, atol=1e-6)
        assert one.loss == pytest.approx(other.loss, rel=1e-5)


def test_a_model_without_a_feature_layer_is_refused_in_one_line():
    engine = engine_of(SmallLogistic, made_up_data())
    _, _, start = seeded(SmallLogistic)
    work = LocalWork(
        client=0, vector=start, program=program(0.1), pruning_ratio=0.0, streams=Streams(0)
    )
    with pytest.raises(
        InputError,
        match=r"^training.model SmallLogistic must name a feature_layer for a feature penalty$",
    ):
        engine.train(work)


def test_the_feature_layer_is_the_last_linear_one():
    for name in plugins.names("models"):
        plugin = plugins.load("models", name)
        layer = getattr(plugin, "feature_layer", None)
        linear = [
            module for module, kind in plugin().named_modules() if isinstance(kind, nn.Linear)
        ]
        assert layer == (linear[-1] if len(list(plugin().parameters())) > 2 else None)
