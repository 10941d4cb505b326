"""Quantised uploads: unbiased, bounded error, counted bits."""

import numpy as np
import pytest

from studies.presets import scenario_tables
from training.algorithms.server.fedalt import FedAlt
from training.algorithms.server.fedavg import FedAvg
from training.engine.spec import EngineSpec
from training.sparsity.quantise import UploadPrecision
from training.task import Task
from wirelessfl.config.scenario_file import from_tables, merge
from wirelessfl.errors import InputError
from wirelessfl.planning import plan
from wirelessfl.protocols import Runtime
from wirelessfl.values import Delivery

RNG = np.random.default_rng(5)
START = RNG.normal(size=60).astype(np.float32)
TRAINED = (START + RNG.normal(scale=0.1, size=60)).astype(np.float32)
MASK = np.arange(60) % 5 > 0
TENSORS = (slice(0, 20), slice(20, 50))  # the rest are running statistics
K = 3


def received(bits, rng):
    precision = UploadPrecision(bits_per_weight=bits)
    return precision.received(TRAINED, START, MASK, TENSORS, rng)


@pytest.mark.parametrize("bits", [16, 8])
def test_rounding_is_unbiased_and_bounded(bits):
    draws = 2000
    rng = np.random.default_rng(1)
    errors = np.array([received(bits, rng).astype(np.float64) - TRAINED for _ in range(draws)])
    for tensor in TENSORS:
        sent = MASK[tensor]
        unit = np.abs((TRAINED - START)[tensor][sent]).max() / (2 ** (bits - 1) - 1)
        error = errors[:, tensor][:, sent]
        rounding = 2e-7  # of float32 weights
        assert np.abs(error).max() < unit + rounding
        assert np.abs(error).max() > 0.5 * unit  # it does round
        assert error.var(axis=0).max() <= unit**2 / 4 * 1.1 + rounding**2
        bound = 5 * (unit / 2) / draws**0.5 + rounding
        assert np.abs(error.mean(axis=0)).max() < bound


def test_what_is_not_sent_is_unchanged():
    result = received(8, np.random.default_rng(1))
    assert np.array_equal(result[~MASK], TRAINED[~MASK])
    assert np.array_equal(result[50:], TRAINED[50:])
    assert result.dtype == np.float32


def test_a_client_that_has_not_moved_sends_its_start():
    precision = UploadPrecision(bits_per_weight=8)
    same = precision.received(START, START, MASK, TENSORS, np.random.default_rng(1))
    assert np.array_equal(same, START)


def rounds(bits, cls=FedAlt, count=2, **task):
    algorithm = cls(
        task=Task(batch_size=16, **task),
        learning_rate=0.05,
        upload=UploadPrecision(bits_per_weight=bits),
    )
    trainer = algorithm.trainer(clients=K, seed=0, runtime=Runtime(executor="loop"))
    state = trainer.init(0)
    ratios = np.array([0.0, 0.3, 1.0]) * (cls is FedAlt)
    for _ in range(count):
        demand = trainer.demand(state)
        state, metrics = trainer.step(state, ratios, Delivery.all(K))
    trainer.close()
    return state, metrics, demand


@pytest.mark.parametrize("bits", [16, 8])
def test_bits_are_counted_as_they_are_planned(bits):
    _, metrics, demand = rounds(bits)
    layout = EngineSpec.of(Task(), personalised=True).build_model()[1]
    size, tensors = layout.shared_size, len(layout.shared_tensors)
    assert tensors == 4
    assert demand.prunable_upload_bits.tolist() == [bits * size] * K
    assert demand.fixed_upload_bits.tolist() == [32 * tensors] * K
    kept = size - np.ceil(0.3 * size)
    assert metrics.uplink_bits.tolist() == [bits * size + 128, bits * kept + 128, 0]
    assert metrics.downlink_bits.tolist() == [32 * size] * K


@pytest.mark.parametrize(("cls", "task"), [(FedAlt, {}), (FedAvg, {})])
def test_few_bits_change_the_model_a_little(cls, task):
    exact, *_ = rounds(32, cls, 1, **task)
    errors = [
        np.abs(rounds(bits, cls, 1, **task)[0].shared - exact.shared).max() for bits in (16, 8)
    ]
    assert 0 < errors[0] < errors[1] < 0.01
    again, *_ = rounds(8, cls, 1, **task)
    assert np.array_equal(again.shared, rounds(8, cls, 1, **task)[0].shared)


def test_the_plan_prunes_less_with_fewer_bits():
    ratios = []
    for bits in (32, 16, 8):
        changes = {"training": {"bits_per_weight": bits}}
        experiment = from_tables(merge(scenario_tables("digits"), changes))
        planned = plan(experiment, experiment.algorithm.demand(10))
        ratios.append(planned.allocation.pruning_ratio.mean())
    assert ratios[0] > ratios[1] > ratios[2]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"bits_per_weight": 7}, "training.bits_per_weight must be one of 32, 16, 8, got 7"),
        (
            {"bits_per_weight": 8, "algorithm": "scaffold"},
            "training.bits_per_weight is not a field",
        ),
    ],
)
def test_bad_bits_are_one_line(settings, words):
    with pytest.raises(InputError) as error:
        from_tables({"training": settings})
    assert str(error.value).startswith(words)
