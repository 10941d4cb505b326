"""Precision bfloat16 and deterministic operations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.federation import engine, work

from training.engine.program import Train
from training.engine.spec import EngineSpec
from training.executors.loop import LoopExecutor
from training.executors.stacked import StackedExecutor
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.experiment import RunSettings

SPEC = EngineSpec(model="digits-cnn", personalised=False, batch_size=32, device="cpu")
HALF = replace(SPEC, precision="bfloat16")
LOSS_BOUND = 0.02  # as docs/training.md says
TRAIN = Train(part="shared", steps=60, learning_rate=0.05, momentum=0.9, stream="batches/local")


@pytest.fixture(scope="module")
def data():
    return Task(partition="iid").load(clients=4, seed=0, data_root=None)


@pytest.mark.slow
def test_bfloat16_learns_as_float32_within_the_stated_bound(data):
    asked = [work((TRAIN,), client=client, spec=SPEC) for client in range(4)]
    exact, half = (
        list(LoopExecutor(SPEC, data).train(asked)),
        list(LoopExecutor(HALF, data).train(asked)),
    )
    losses = np.array([[result.loss for result in results] for results in (exact, half)])
    difference = np.abs(losses[1] / losses[0] - 1.0)
    assert difference.max() > 0
    assert difference.max() < LOSS_BOUND
    assert all(result.vector.dtype == np.float32 for result in half)


def test_stacks_know_bfloat16(data):
    asked = [work((replace(TRAIN, steps=2),), client=client, spec=SPEC) for client in range(2)]
    for ours, theirs in zip(
        StackedExecutor(HALF, data).train(asked), LoopExecutor(HALF, data).train(asked), strict=True
    ):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-2)


def test_a_closed_form_gives_way_to_bfloat16():
    spec = EngineSpec(
        model="mlp", personalised=False, batch_size=4, device="cpu", precision="bfloat16"
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)  # weights of which no ReLU switches by the rounding to bfloat16
        model, layout = spec.build_model()
    network = LoopExecutor(spec, engine_data())._engine.network(work((TRAIN,), spec=SPEC))
    network.vector.copy_(layout.flatten(model))
    network.require("all")
    images, labels = (
        torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(1)),
        torch.arange(4),
    )
    network.backward(images, labels)
    expected = torch.autograd.grad(
        torch.nn.functional.cross_entropy(model(images), labels), model.parameters()
    )
    flat = torch.cat([gradient.flatten() for gradient in expected])
    error = torch.linalg.vector_norm(network.gradient - flat) / torch.linalg.vector_norm(flat)
    assert 0 < error < 0.05


def engine_data():
    """One client with black 28x28 images."""
    rows = (torch.arange(4),)
    images, labels = torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.arange(4)
    task = Task(partition="iid").load(clients=1, seed=0, data_root=None)
    return replace(
        task,
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
        train_index=rows,
        test_index=rows,
    )


def test_deterministic_operations_are_asked_for_while_it_computes_only(monkeypatch):
    seen = []
    plain = torch.randperm
    monkeypatch.setattr(
        torch,
        "randperm",
        lambda *a, **b: seen.append(torch.are_deterministic_algorithms_enabled()) or plain(*a, **b),
    )
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    asked = work((replace(TRAIN, steps=1),), spec=SPEC)
    plainly = engine(SPEC).train(asked)
    repeatably = engine(replace(SPEC, deterministic=True)).train(asked)
    assert seen == [False, True]
    assert not torch.are_deterministic_algorithms_enabled()
    assert np.array_equal(plainly.vector, repeatably.vector)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_tf32_is_allowed_while_it_computes_and_only_when_asked_for(monkeypatch, precision):
    """Float32 means float32: torch allows TF32 in convolutions unless it is told otherwise."""
    switches = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    seen = []
    plain = torch.randperm
    monkeypatch.setattr(
        torch,
        "randperm",
        lambda *a, **b: seen.append([s.allow_tf32 for s in switches]) or plain(*a, **b),
    )
    engine(replace(SPEC, precision=precision)).train(work((replace(TRAIN, steps=1),), spec=SPEC))
    assert seen == [[precision == "tf32"] * 2]
    assert [switch.allow_tf32 for switch in switches] == before


def test_tf32_is_a_precision_of_cuda():
    assert RunSettings(precision="tf32", device="cuda").precision == "tf32"
    with pytest.raises(InputError, match=r"^run\.precision must not be 'tf32' with run\.device"):
        RunSettings(precision="tf32")


def test_precision_is_a_choice():
    with pytest.raises(
        InputError, match=r"^run\.precision must be one of float32, tf32, bfloat16; got 'half'$"
    ):
        RunSettings(precision="half")
