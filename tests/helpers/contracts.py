"""What every plug-in of a kind must keep; the contract tests and plug-ins from outside are held to the same."""

import dataclasses
import inspect

import numpy as np

from wirelessfl.rng import Streams
from wirelessfl.values import Scenario

ROUNDS = 500
DISTANCES_M = (160.0, 250.0, 410.0, 530.0)


def check_settings(cls: type) -> None:
    """A plug-in's class is a frozen dataclass that needs no arguments; equal settings are equal and hashable."""
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert cls() == cls()
    assert hash(cls()) == hash(cls())


def check_signatures(cls: type, protocol: type) -> None:
    """`cls` has every method of the protocol, callable the same way: parameters of the same names, kinds and order."""
    for name, method in vars(protocol).items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        offered = getattr(cls, name, None)
        assert offered is not None, f"{cls.__name__} has no {name}"
        assert _shape(offered) == _shape(method), f"{cls.__name__}.{name}"


def _shape(method) -> list[tuple[str, inspect._ParameterKind]]:
    return [(parameter.name, parameter.kind) for parameter in inspect.signature(method).parameters.values()]


def check_channel(model) -> None:
    """Shape, sign, determinism, independence of the other clients, and the mean that the model claims."""
    scenario = Scenario(clients=len(DISTANCES_M), distance_m=DISTANCES_M)
    _check_state(model, scenario)
    _check_keys(model, scenario)
    _check_mean_gain(model, scenario)


def _check_state(model, scenario: Scenario) -> None:
    for clients in (1, scenario.clients):
        state = model.sample(_first(scenario, clients), Streams(seed=1, round=2))
        for gain in (state.gain, state.believed_gain):
            assert gain.shape == (clients,)
            assert gain.dtype == np.float64
            assert np.all(np.isfinite(gain))
            assert np.all(gain > 0)


def _check_keys(model, scenario: Scenario) -> None:
    """A draw depends on (seed, round, client): not on earlier draws, nor on how many other clients there are."""
    first = model.sample(scenario, Streams(seed=3, round=7))
    model.sample(scenario, Streams(seed=3, round=8))
    again = model.sample(scenario, Streams(seed=3, round=7))
    np.testing.assert_array_equal(first.gain, again.gain)
    np.testing.assert_array_equal(first.believed_gain, again.believed_gain)
    few = model.sample(_first(scenario, 2), Streams(seed=3, round=7))
    np.testing.assert_array_equal(few.gain, first.gain[:2])


def _check_mean_gain(model, scenario: Scenario) -> None:
    claimed = model.mean_gain(scenario, Streams(seed=5))
    assert claimed.shape == (scenario.clients,)
    gains = np.array([model.sample(scenario, Streams(seed=5, round=round)).gain for round in range(ROUNDS)])
    standard_error = gains.std(axis=0, ddof=1) / np.sqrt(ROUNDS)
    np.testing.assert_array_less(np.abs(gains.mean(axis=0) - claimed), 4 * standard_error + 1e-12 * claimed)


def _first(scenario: Scenario, clients: int) -> Scenario:
    return dataclasses.replace(scenario, clients=clients, distance_m=scenario.distance_m[:clients])
