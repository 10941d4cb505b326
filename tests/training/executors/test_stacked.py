"""Stacked clients: equal to the loop within rounding, for every phase and option."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.federation import ALGORITHM_1, SPEC, made_up_data, start_vector, train, work
from torch import nn

from training.engine.program import Accumulate, Train, TrainMask
from training.engine.stacked_network import StackedNetwork
from training.executors import make_executor
from training.executors.graph import ParallelNetworks
from training.executors.loop import LoopExecutor
from training.executors.stacked import StackedExecutor, most_clients
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime

SIZES = (40, 40, 25, 25, 9)
EVERYTHING = Train(
    part="all",
    steps=3,
    learning_rate=0.05,
    personal_learning_rate=0.02,
    momentum=0.9,
    weight_decay=0.01,
    clip_norm=0.5,
    proximal=0.1,
    sum_gradients=True,
    stream="batches/local",
)
START, LAYOUT = start_vector()


def data(sizes=SIZES):
    """Synthetic clients of these sizes."""
    made = made_up_data(clients=len(sizes))
    rows = tuple(index[:size] for index, size in zip(made.train_index, sizes, strict=True))
    return replace(made, train_index=rows)


def works(*program, ratio=0.0):
    return [work(program, client=client, ratio=ratio * client) for client in range(len(SIZES))]


@pytest.fixture(params=[StackedNetwork, ParallelNetworks])
def made(request):
    """Numbers of clients in the stacks that were made, and who makes them."""
    clients: list[int] = []

    def make(network, count):
        clients.append(count)
        return request.param(network, count)

    return clients, make


def assert_close(ours, theirs):
    for name in ("vector", "mask", "scores"):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert (ours.loss, ours.steps, ours.batches) == (
        pytest.approx(theirs.loss),
        theirs.steps,
        theirs.batches,
    )
    assert ours.sums.keys() == theirs.sums.keys()
    for name, total in theirs.sums.items():
        assert np.linalg.norm(ours.sums[name] - total) <= 1e-5 * np.linalg.norm(total)


@pytest.mark.parametrize(
    ("program", "ratio", "fields"),
    [
        (ALGORITHM_1, 0.2, {}),  # client 0 keeps everything
        ((EVERYTHING, Accumulate(steps=2, stream="batches/importance")), 0.0, {}),
        ((EVERYTHING,), 0.0, {"mask": np.arange(LAYOUT.shared_size) % 3 > 0}),
        ((EVERYTHING,), 0.0, {"correction": np.linspace(-0.1, 0.1, LAYOUT.size, dtype=np.float32)}),
        ((replace(EVERYTHING, steps=None, epochs=2),), 0.0, {}),
    ],
)
def test_every_phase_and_option_is_that_of_the_loop(program, ratio, fields, made):
    stacks, make = made
    asked = [replace(each, **fields) for each in works(*program, ratio=ratio)]
    loop, stacked = LoopExecutor(SPEC, data()), StackedExecutor(SPEC, data(), make=make)
    for ours, theirs in zip(stacked.train(asked), loop.train(asked), strict=True):
        assert_close(ours, theirs)
    assert stacks


def test_augmented_batches_are_those_of_the_loop():
    augmented = replace(data(), augmentation="crop-flip")
    for ours, theirs in zip(
        StackedExecutor(SPEC, augmented).train(works(EVERYTHING)),
        LoopExecutor(SPEC, augmented).train(works(EVERYTHING)),
        strict=True,
    ):
        assert_close(ours, theirs)


def test_stacks_are_made_of_equal_batches(made):
    stacks, make = made
    stacked = StackedExecutor(SPEC, data(), make=make)
    list(stacked.train(works(train("all"))))
    assert stacks == [4]  # batches of 16, and a client with 9
    list(stacked.train(works(replace(EVERYTHING, steps=None, epochs=1))))
    assert stacks == [4, 2]  # twice 16, 16, 8 and twice 16, 9: of one shape, one after the other


def test_works_are_taken_a_stack_at_a_time(made):
    _, make = made
    taken = []

    def asked():
        for each in works(train("all")):
            taken.append(each.client)
            yield each

    results = StackedExecutor(SPEC, data(), 2, make=make).train(asked())
    assert taken == []
    next(results)
    assert taken == [0, 1]
    assert len(list(results)) == 4


def test_who_is_alone_or_trains_a_mask_is_trained_by_the_loop():
    masking = TrainMask(keep=(0.5,) * 4, steps=2, learning_rate=0.1, stream="batches/mask")
    scored = [
        replace(
            work(ALGORITHM_1[:1]),
            program=(masking,),
            scores=START[: LAYOUT.parameter_size],
            client=k,
        )
        for k in range(3)
    ]
    for asked in (scored, works(train("all"))[-1:]):
        for ours, theirs in zip(
            StackedExecutor(SPEC, data()).train(asked),
            LoopExecutor(SPEC, data()).train(asked),
            strict=True,
        ):
            assert np.array_equal(ours.vector, theirs.vector)
            assert np.array_equal(ours.mask, theirs.mask)


def test_divergence_of_one_is_named_and_harms_nobody(made):
    _, make = made
    stacked = StackedExecutor(SPEC, data(), make=make)
    infinite = replace(works(train("all"))[1], vector=np.full_like(START, 3e38))
    asked = works(train("all"))
    with pytest.raises(InputError, match="training diverged: client 1, round 1"):
        list(stacked.train([asked[0], infinite, *asked[2:]]))
    expected = LoopExecutor(SPEC, data()).train(asked)
    for ours, theirs in zip(stacked.train(asked), expected, strict=True):
        assert_close(ours, theirs)


def test_layers_that_can_be_stacked():
    assert StackedNetwork.fits(
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Linear(2, 2))
    )
    assert not StackedNetwork.fits(nn.Sequential(nn.Linear(2, 2), nn.PReLU()))
    assert not StackedNetwork.fits(nn.Sequential(nn.Conv2d(1, 2, 3, padding_mode="circular")))


@pytest.mark.parametrize(
    ("size", "clients"), [(281, 256), (199_210, 256), (1_663_370, 40), (15_119_690, 4), (2**30, 1)]
)
def test_a_stack_fits_into_a_gibibyte(size, clients):
    assert most_clients(size) == clients


def test_the_runtime_asks_for_stacks():
    executor = make_executor(SPEC, data(), Runtime(executor="stacked", stack=3), round_flops=1)
    assert isinstance(executor, StackedExecutor)
    assert executor.ahead == 3


@pytest.mark.parametrize(
    ("model", "name"), [("logistic", "stacked"), ("mlp", "stacked"), ("cnn", "graph")]
)
def test_on_cuda_linear_models_are_stacked_and_others_recorded(model, name, monkeypatch):
    for choice, executor in (("stacked", "StackedExecutor"), ("graph", "GraphExecutor")):
        monkeypatch.setattr(
            f"training.executors.{executor}", lambda spec, data, most, choice=choice: choice
        )
    spec = replace(SPEC, model=model, personalised=False, device="cuda")
    assert make_executor(spec, data(), Runtime(), round_flops=1e15) == name


def test_graphs_are_for_cuda():
    with pytest.raises(InputError, match=r"^run\.executor graph needs run\.device cuda, got cpu$"):
        make_executor(SPEC, data(), Runtime(executor="graph"), round_flops=1)


def test_lanes_keep_a_step_for_each_part_and_shape_of_batch():
    network = LoopExecutor(SPEC, data())._engine.network(work(ALGORITHM_1))
    lanes = ParallelNetworks(network, 2)
    lanes.vector.copy_(torch.from_numpy(START).expand(2, -1))
    for part, count in (("all", 4), ("all", 8), ("shared", 8), ("all", 4)):
        lanes.require(part)
        images, labels = torch.randn(count, 1, 8, 8), torch.arange(count)
        losses = lanes.backward(images, labels).clone()
        network.vector.copy_(torch.from_numpy(START))
        network.require(part)
        for lane in range(2):
            half = slice(lane * count // 2, (lane + 1) * count // 2)
            assert torch.equal(losses[lane], network.backward(images[half], labels[half]))
            assert torch.equal(lanes.gradient[lane], network.gradient)
    assert len(lanes._steps) == 3
