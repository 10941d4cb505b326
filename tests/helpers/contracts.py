"""Contracts of every kind of plug-in, for built-in and external ones alike."""

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wirelessfl.rng import Streams
from wirelessfl.scenario.medium import Medium
from wirelessfl.values import Scenario

ROUNDS = 500
DISTANCES_M = (20.0, 45.0, 90.0, 140.0)  # within the range of every model
BLOCKS = (0, 1, 5)


def check_settings(cls: type) -> None:
    """A plug-in's class is a frozen dataclass without required arguments.

    Equal settings are equal and hashable.
    """
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert cls() == cls()
    assert hash(cls()) == hash(cls())


def check_signatures(cls: type, protocol: type) -> None:
    """`cls` has every method of the protocol with the same parameter names, kinds and order.

    Further keywords with defaults are allowed.
    """
    for name, method in vars(protocol).items():
        if name.startswith("_") or not inspect.isfunction(method):
            continue
        offered = getattr(cls, name, None)
        assert offered is not None, f"{cls.__name__} has no {name}"
        wanted = _shape(method)
        more = _optional(offered) - {parameter for parameter, _ in wanted}
        found = [one for one in _shape(offered) if one[0] not in more]
        assert found == wanted, f"{cls.__name__}.{name}"


def _shape(method: Callable[..., Any]) -> list[tuple[str, inspect._ParameterKind]]:
    return [
        (parameter.name, parameter.kind)
        for parameter in inspect.signature(method).parameters.values()
    ]


def _optional(method: Callable[..., Any]) -> set[str]:
    """Keywords with a default."""
    return {
        parameter.name
        for parameter in inspect.signature(method).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is not parameter.empty
    }


def example(cls: type, folder: Path) -> Any:
    """A plug-in with its defaults, or the one its `example(folder)` makes of files it writes."""
    return cls.example(folder) if hasattr(cls, "example") else cls()


def check_channel(model: Any) -> None:
    """Shape, sign, determinism, independence of clients, coherence blocks, and the claimed mean.

    A model with `clients_interact = True` has gains that depend on the other clients: peers on a
    graph.
    """
    medium = Medium(coherence_s=0.005)
    scenario = Scenario(clients=len(DISTANCES_M), distance_m=DISTANCES_M, medium=medium)
    alone = not getattr(model, "clients_interact", False)
    _check_state(model, scenario, (1, scenario.clients) if alone else (scenario.clients,))
    _check_keys(model, scenario)
    if alone:
        _check_company(model, scenario)
    _check_blocks(model, scenario)
    _check_mean_gain(model, scenario)


def _check_state(model: Any, scenario: Scenario, sizes: tuple[int, ...]) -> None:
    for clients in sizes:
        state = model.sample(_first(scenario, clients), Streams(seed=1, round=2))
        for gain in (state.gain, state.believed_gain, state.path_gain):
            if gain is not None:
                _check_gain(gain, clients)


def _check_gain(gain: np.ndarray, clients: int) -> None:
    assert gain.shape == (clients,)
    assert gain.dtype == np.float64
    assert np.all(np.isfinite(gain))
    assert np.all(gain > 0)


def _check_keys(model: Any, scenario: Scenario) -> None:
    """A draw depends on (seed, round, client), not on earlier draws."""
    first = model.sample(scenario, Streams(seed=3, round=7))
    model.sample(scenario, Streams(seed=3, round=8))
    again = model.sample(scenario, Streams(seed=3, round=7))
    np.testing.assert_array_equal(first.gain, again.gain)
    np.testing.assert_array_equal(first.believed_gain, again.believed_gain)


def _check_company(model: Any, scenario: Scenario) -> None:
    """A draw of one client does not depend on how many others there are."""
    whole = model.sample(scenario, Streams(seed=3, round=7))
    few = model.sample(_first(scenario, 2), Streams(seed=3, round=7))
    np.testing.assert_array_equal(few.gain, whole.gain[:2])
    np.testing.assert_array_equal(few.believed_gain, whole.believed_gain[:2])


def _check_blocks(model: Any, scenario: Scenario) -> None:
    """The gain of a coherence block is a function of its number; the first is the round's gain."""
    rng = Streams(seed=3, round=7)
    state = model.sample(scenario, rng)
    other = model.sample(scenario, rng)
    if state.block_gain is None:
        return
    np.testing.assert_array_equal(state.block_gain(0), state.gain)
    found = {block: state.block_gain(block) for block in BLOCKS}
    for block in reversed(BLOCKS):
        _check_gain(found[block], scenario.clients)
        np.testing.assert_array_equal(other.block_gain(block), found[block])
        np.testing.assert_array_equal(state.block_gain(block), found[block])


def _check_mean_gain(model: Any, scenario: Scenario) -> None:
    """The gain relative to its claimed mean is 1 within 4 standard errors, over rounds and seeds.

    Over seeds too, as a field that clients walk through is the same in every round of a run.
    """
    ratios = []
    for round in range(ROUNDS):
        rng = Streams(seed=5 + round, round=round)
        claimed = model.mean_gain(scenario, rng)
        assert claimed.shape == (scenario.clients,)
        ratios.append(model.sample(scenario, rng).gain / claimed)
    standard_error = np.std(ratios, axis=0, ddof=1) / np.sqrt(ROUNDS)
    np.testing.assert_array_less(np.abs(np.mean(ratios, axis=0) - 1.0), 4 * standard_error + 1e-12)


def _first(scenario: Scenario, clients: int) -> Scenario:
    return dataclasses.replace(scenario, clients=clients, distance_m=scenario.distance_m[:clients])
