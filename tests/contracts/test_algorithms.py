"""Contract of every algorithm, built-in or external."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from wirelessfl import plugins
from wirelessfl.protocols import Runtime
from wirelessfl.values import Delivery

K = 3
ALL = Delivery.all(K)
NOTHING = Delivery.of(np.zeros(K, dtype=bool))
NAMES = plugins.names("algorithms")


def make(name):
    return plugins.load("algorithms", name)()


def start(name, seed=0):
    trainer = make(name).trainer(clients=K, seed=seed, runtime=Runtime(executor="loop"))
    return trainer, trainer.init(seed)


def expected(algorithm):
    """The algorithm itself, or one whose rounds are as long as a coin makes them on average."""
    descent = getattr(algorithm, "descent", None)
    return (
        algorithm if descent is None else replace(algorithm, descent=replace(descent, coin="fixed"))
    )


def ratios(name):
    """Pruning ratios of a round, 0 for an algorithm that asks for nothing that shrinks."""
    return np.array([0.0, 0.3, 0.6]) * (make(name).demand(K).prunable_upload_bits > 0)


def equal(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


def test_the_papers_methods_are_there():
    assert {"fedalt", "fedsim", "pruning-only"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_is_its_own_configuration(name):
    algorithm = make(name)
    assert is_dataclass(algorithm)
    assert type(algorithm).__dataclass_params__.frozen
    assert "task" in {field.name for field in fields(algorithm)}
    assert algorithm == make(name)
    assert type(algorithm).__doc__
    assert plugins.name_of(type(algorithm)) == name


@pytest.mark.parametrize("name", NAMES)
def test_demand_has_one_number_a_client(name):
    demand = make(name).demand(K)
    for array in vars(demand).values():
        assert array.shape == (K,)
        assert np.all(np.isfinite(array))
        assert np.all(array >= 0)
    assert np.all(demand.fixed_updates + demand.prunable_updates > 0)
    trainer = expected(make(name)).trainer(clients=K, seed=0, runtime=Runtime(executor="loop"))
    assert equal(vars(trainer.demand(trainer.init(0))), vars(demand))
    trainer.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_round_gives_a_new_state_and_its_costs(name):
    trainer, state = start(name)
    before = {key: array.copy() for key, array in trainer.pack(state).items()}
    after, metrics = trainer.step(state, ratios(name), ALL)
    assert equal(trainer.pack(state), before)
    assert not equal(trainer.pack(after), before)
    assert np.isfinite(metrics.loss)
    for array in (metrics.uplink_bits, metrics.downlink_bits, metrics.flops):
        assert array.shape == (K,)
        assert np.all(array >= 0)
    # A client that prunes more sends no more.
    assert np.all(np.diff(metrics.uplink_bits)[np.diff(ratios(name)) > 0] <= 0)
    demand = trainer.demand(state)
    assert np.all(
        metrics.uplink_bits
        <= demand.fixed_upload_bits + (1 - ratios(name)) * demand.prunable_upload_bits
    )
    trainer.close()


@pytest.mark.parametrize("name", NAMES)
def test_is_a_function_of_the_seed(name):
    def two_rounds(seed):
        trainer, state = start(name, seed)
        for _ in range(2):
            state, metrics = trainer.step(state, ratios(name), ALL)
        packed = trainer.pack(state)
        accuracy = trainer.evaluate(state)
        trainer.close()
        return packed, metrics.loss, accuracy

    one, *numbers = two_rounds(0)
    again, *numbers_again = two_rounds(0)
    other, *_ = two_rounds(1)
    assert equal(one, again)
    assert numbers == numbers_again
    assert not equal(one, other)
    assert 0 <= numbers[1] <= 1


@pytest.mark.parametrize("name", NAMES)
def test_packed_state_is_complete(name):
    trainer, state = start(name)
    state, _ = trainer.step(state, ratios(name), ALL)
    packed = trainer.pack(state)
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in packed.values())
    fresh, _ = start(name)
    restored = fresh.unpack({key: array.copy() for key, array in packed.items()})
    one, metrics = trainer.step(state, ratios(name), ALL)
    other, metrics_again = fresh.step(restored, ratios(name), ALL)
    assert equal(trainer.pack(one), fresh.pack(other))
    assert metrics.loss == metrics_again.loss
    trainer.close()
    fresh.close()


@pytest.mark.parametrize("name", NAMES)
def test_without_deliveries_nothing_reaches_the_others(name):
    trainer, state = start(name)
    state, _ = trainer.step(
        state, ratios(name), ALL
    )  # agents without a server have all begun with the same
    nothing, _ = trainer.step(state, ratios(name), NOTHING)
    everything, metrics = trainer.step(state, ratios(name), ALL)
    assert equal(trainer.pack(nothing), trainer.pack(everything)) == (not metrics.uplink_bits.any())
    trainer.close()
