"""Gate for plug-ins: what they raise and what they return is checked where it enters.

A fault is one line that names the plug-in and the field, or the exception with its file and line.
"""

import sysconfig
import traceback
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from numbers import Real
from typing import Any, cast

import numpy as np

from wirelessfl import plugins
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.history import History
from wirelessfl.allocation.problem import Problem
from wirelessfl.allocation.ranges import SHARES_WITHIN
from wirelessfl.arrays import Array
from wirelessfl.errors import InputError
from wirelessfl.no_training import NoTraining
from wirelessfl.protocols import (
    Algorithm,
    Allocator,
    AllocatorWithMemory,
    ChannelModel,
    Runtime,
    Trainer,
    has_memory,
)
from wirelessfl.rng import Streams
from wirelessfl.text import in_full
from wirelessfl.values import ChannelState, Delivery, Demand, Scenario, StepMetrics

ROUNDING = 1e-9  # of fractions and ratios: values beyond 0 and 1 by less are clipped
_KEYS = {
    "channel": "channel.model",
    "allocator": "allocation.method",
    "algorithm": "training.algorithm",
    "dataset": "training.dataset",
    "model": "training.model",
}
_PACKAGES = sysconfig.get_path("purelib")


class PluginError(InputError):
    """Fault of a plug-in; the message is one line that names it."""


class inside:
    """Context in which a plug-in computes.

    Args:
        kind: Kind of the plug-in in the singular, such as `allocator`.
        plugin: The plug-in, its class, or its name.

    Raises:
        PluginError: The plug-in raised anything but `InputError`, or ended the process; names
            exception, file and line.
    """

    def __init__(self, kind: str, plugin: object) -> None:
        self._kind = kind
        self._plugin = plugin

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise a fault of the plug-in as one line."""
        if isinstance(error, (InputError, MemoryError)):
            return
        if isinstance(error, (Exception, SystemExit)):
            text = " ".join(str(error).split())
            reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
            title = _title(self._kind, self._plugin)
            raise PluginError(f"{title} failed: {reason}{_place(error)}") from error


def sample(channel: ChannelModel, scenario: Scenario, streams: Streams) -> ChannelState:
    """Channel of a round from a plug-in, checked.

    Args:
        channel: The channel model.
        scenario: Cell and clients.
        streams: Random streams of the round.

    Returns:
        The channel of the round; (K,).

    Raises:
        InputError: The plug-in refuses the scenario, fails, or returns an invalid state.
    """
    with inside("channel", channel):
        state = channel.sample(scenario, streams)
    title = _title("channel", channel)
    _check_type(title, "sample", state, ChannelState)
    shape = (scenario.clients,)
    for name in ("gain", "believed_gain", "path_gain"):
        if name != "path_gain" or state.path_gain is not None:
            _check_array(title, name, getattr(state, name), shape)
    if state.block_gain is None:
        return state
    return replace(state, block_gain=partial(_block_gain, channel, state.block_gain, shape))


def mean_gain(channel: ChannelModel, scenario: Scenario, streams: Streams) -> Array:
    """Mean gain over fading from a plug-in, checked.

    Args:
        channel: The channel model.
        scenario: Cell and clients.
        streams: Random streams of the round.

    Returns:
        Linear power gain; (K,).

    Raises:
        InputError: The plug-in refuses the scenario, fails, or returns an invalid array.
    """
    with inside("channel", channel):
        gain = channel.mean_gain(scenario, streams)
    _check_array(_title("channel", channel), "mean_gain", gain, (scenario.clients,))
    return gain


def solve(allocator: Allocator, problem: Problem, history: History | None = None) -> Allocation:
    """Allocation from a plug-in, checked.

    Args:
        allocator: The allocator.
        problem: Allocation problem; (..., K).
        history: Course of the run, for an allocator with memory; None: none.

    Returns:
        Fractions and ratios within [0, 1], in which rounding is clipped; (..., K).

    Raises:
        InputError: The plug-in refuses the problem, fails, or returns an invalid allocation.
    """
    with inside("allocator", allocator):
        if history is not None and has_memory(allocator):
            found = cast(AllocatorWithMemory, allocator).solve(problem, history)
        else:
            found = allocator.solve(problem)
    if type(found) is Allocation and found.problem is problem and _is_valid(found):
        return found
    return _checked_allocation(_title("allocator", allocator), found, problem)


def _is_valid(found: Allocation) -> bool:
    """True if an allocation of few clients is surely valid, False where it is to be checked."""
    within = SHARES_WITHIN.function
    shape = found.problem.shape
    unusual = found.left_out is not None or found.cpu_hz is not None
    if within is None or len(shape) > 1 or unusual:
        return False
    band = found.bandwidth_fraction
    ratio = found.pruning_ratio
    kept = ratio if found.exact_kept is None else found.exact_kept
    for value in (band, ratio, kept):
        if type(value) is not np.ndarray or value.dtype != np.float64 or value.shape != shape:
            return False
        if not value.flags.c_contiguous:
            return False
    prices: tuple[Any, Any] = (found.bandwidth_price, found.deadline_price)
    for price in prices:
        if not (type(price) is np.float64 and price >= 0.0):
            return False
    return bool(within(band, ratio, kept))


def _checked_allocation(title: str, found: Any, problem: Problem) -> Allocation:
    _check_type(title, "solve", found, Allocation)
    if found.problem is not problem:
        raise PluginError(
            f"{title}: problem of the allocation must be the one to solve, got another"
        )
    shape = problem.shape
    band = _within_one(title, "bandwidth_fraction", found.bandwidth_fraction, shape)
    ratio = _within_one(title, "pruning_ratio", found.pruning_ratio, shape)
    total = float(band.sum(axis=-1).max())
    if total > 1.0 + ROUNDING * shape[-1]:
        raise PluginError(
            f"{title}: bandwidth_fraction must add up to at most 1, got {in_full(total)}"
        )
    kept = found.exact_kept
    if kept is not None:
        kept = _within_one(title, "exact_kept", kept, shape)
    if found.left_out is not None and (
        type(found.left_out) is not np.ndarray
        or found.left_out.dtype != np.bool_
        or found.left_out.shape != shape
    ):
        raise PluginError(_of_type(title, "left_out", "bool", shape, found.left_out))
    if found.cpu_hz is not None:
        _check_cpu_hz(title, found.cpu_hz, problem)
    for name in ("bandwidth_price", "deadline_price"):
        price = np.asarray(getattr(found, name))
        if price.dtype.kind not in "fiu" or price.shape != shape[:-1]:
            raise PluginError(_of_type(title, name, "float64", shape[:-1], getattr(found, name)))
        if not (price >= 0).all():
            bad = price[~(price >= 0)].flat[0]
            raise PluginError(f"{title}: {name} must be at least 0, got {in_full(bad)}")
    same = band is found.bandwidth_fraction and ratio is found.pruning_ratio
    if same and kept is found.exact_kept:
        return cast(Allocation, found)
    return cast(
        Allocation, replace(found, bandwidth_fraction=band, pruning_ratio=ratio, exact_kept=kept)
    )


def first_demand(algorithm: Algorithm, clients: int) -> Demand:
    """Demand of a first round from a plug-in, checked.

    Args:
        algorithm: The algorithm.
        clients: Number K of clients.

    Returns:
        Weight updates and bits; (K,).

    Raises:
        InputError: The plug-in refuses its settings, fails, or returns an invalid demand.
    """
    with inside("algorithm", algorithm):
        demand = algorithm.demand(clients)
    return _checked_demand(_title("algorithm", algorithm), demand, clients)


def trainer(algorithm: Algorithm, *, clients: int, seed: int, runtime: Runtime) -> Trainer:
    """Trainer of a plug-in.

    Args:
        algorithm: The algorithm.
        clients: Number K of clients.
        seed: Seed of the partition.
        runtime: Execution settings.

    Returns:
        The trainer.

    Raises:
        InputError: The plug-in refuses its settings, its data or the runtime, or fails.
    """
    with inside("algorithm", algorithm):
        return algorithm.trainer(clients=clients, seed=seed, runtime=runtime)


def demand(algorithm: Algorithm, trainer: Trainer | NoTraining, state: Any, clients: int) -> Demand:
    """Demand of the coming round from a trainer, checked.

    Args:
        algorithm: The algorithm of the trainer.
        trainer: The trainer.
        state: State before the round.
        clients: Number K of clients.

    Returns:
        Weight updates and bits; (K,).

    Raises:
        InputError: The trainer fails or returns an invalid demand.
    """
    with inside("algorithm", algorithm):
        found = trainer.demand(state)
    return _checked_demand(_title("algorithm", algorithm), found, clients)


def step(
    algorithm: Algorithm,
    trainer: Trainer | NoTraining,
    state: Any,
    pruning_ratio: Array,
    delivery: Delivery,
) -> tuple[Any, StepMetrics]:
    """A round of training, whose metrics are checked.

    Args:
        algorithm: The algorithm of the trainer.
        trainer: The trainer.
        state: State before the round.
        pruning_ratio: Pruning ratios; (K,).
        delivery: Updates that the aggregation may use; (K,).

    Returns:
        The state after the round, and the round's metrics.

    Raises:
        InputError: The trainer fails or returns invalid metrics.
    """
    title = _title("algorithm", algorithm)
    with inside("algorithm", algorithm):
        after, metrics = trainer.step(state, pruning_ratio, delivery)
    _check_type(title, "step", metrics, StepMetrics)
    for name in ("uplink_bits", "downlink_bits", "flops"):
        _check_array(title, name, getattr(metrics, name), pruning_ratio.shape)
    if metrics.loss is not None:
        _check_real(title, "loss", metrics.loss)
    if not isinstance(metrics.extra, Mapping):
        raise PluginError(f"{title}: extra must be a mapping, got {metrics.extra!r}")
    for name, value in metrics.extra.items():
        if not isinstance(name, str):
            raise PluginError(f"{title}: names in extra must be text, got {name!r}")
        _check_real(title, f"extra {name}", value)
    return after, metrics


def accuracy(algorithm: Algorithm, trainer: Trainer | NoTraining, state: Any) -> float | None:
    """Test accuracy from a trainer, checked.

    Args:
        algorithm: The algorithm of the trainer.
        trainer: The trainer.
        state: State after a round.

    Returns:
        The accuracy, or the score in its place; None without training.

    Raises:
        InputError: The trainer fails or returns no number.
    """
    with inside("algorithm", algorithm):
        found: Any = trainer.evaluate(state)
    if found is None and isinstance(trainer, NoTraining):
        return None
    title = _title("algorithm", algorithm)
    _check_real(title, "accuracy", found)
    if not np.isfinite(found):
        raise PluginError(f"{title}: accuracy must be finite, got {float(found)}")
    score: float = found
    return score


def packed(algorithm: Algorithm, trainer: Trainer | NoTraining, state: Any) -> dict[str, Any]:
    """Arrays of a state for a checkpoint, checked.

    Args:
        algorithm: The algorithm of the trainer.
        trainer: The trainer.
        state: State after a round.

    Returns:
        Arrays by name.

    Raises:
        InputError: The trainer fails or its arrays cannot be stored.
    """
    title = _title("algorithm", algorithm)
    with inside("algorithm", algorithm):
        arrays = trainer.pack(state)
    if not isinstance(arrays, dict):
        raise PluginError(f"{title}: pack must return arrays by name, got {_kind_of(arrays)}")
    for name, array in arrays.items():
        if not isinstance(name, str) or name.startswith("__"):
            raise PluginError(f"{title}: names of pack must be text without __, got {name!r}")
        if not isinstance(array, np.ndarray) or array.dtype.hasobject:
            raise PluginError(f"{title}: {name} of pack must be an array, got {_kind_of(array)}")
    return arrays


def _block_gain(
    channel: ChannelModel, block_gain: Any, shape: tuple[int, ...], block: int
) -> Array:
    with inside("channel", channel):
        gain: Array = block_gain(block)
    _check_array(_title("channel", channel), "block_gain", gain, shape)
    return gain


def _checked_demand(title: str, demand: Any, clients: int) -> Demand:
    _check_type(title, "demand", demand, Demand)
    for field in fields(Demand):
        _check_array(title, field.name, getattr(demand, field.name), (clients,))
    found: Demand = demand
    return found


def _check_array(title: str, name: str, value: Any, shape: tuple[int, ...]) -> None:
    """Refuse all but a finite float64 array at least 0 of the given shape."""
    if type(value) is not np.ndarray or value.dtype != np.float64 or value.shape != shape:
        raise PluginError(_of_type(title, name, "float64", shape, value))
    least, most = value.min(), value.max()  # both NaN where one value is
    if not (least >= 0 and most < np.inf):
        bad = value[~((value >= 0) & (value < np.inf))].flat[0]
        raise PluginError(f"{title}: {name} must be finite and at least 0, got {in_full(bad)}")


def _within_one(title: str, name: str, value: Any, shape: tuple[int, ...]) -> Array:
    """A float64 array in [0, 1], in which rounding is clipped; the array itself where none is."""
    if type(value) is not np.ndarray or value.dtype != np.float64 or value.shape != shape:
        raise PluginError(_of_type(title, name, "float64", shape, value))
    least, most = value.min(), value.max()
    if least >= 0.0 and most <= 1.0:
        return value
    bad = ~((value >= -ROUNDING) & (value <= 1.0 + ROUNDING))
    if bad.any():
        raise PluginError(
            f"{title}: {name} must be within 0 and 1, got {in_full(value[bad].flat[0])}"
        )
    return np.clip(value, 0.0, 1.0)


def _check_cpu_hz(title: str, cpu_hz: Any, problem: Problem) -> None:
    """Refuse CPU frequencies outside the range of the problem's `costs`, or without them."""
    if (
        type(cpu_hz) is not np.ndarray
        or cpu_hz.dtype != np.float64
        or cpu_hz.shape != problem.shape
    ):
        raise PluginError(_of_type(title, "cpu_hz", "float64", problem.shape, cpu_hz))
    if problem.costs is None:
        raise PluginError(f"{title}: cpu_hz must be None for a problem without costs, got an array")
    least_hz, most_hz = problem.costs.cpu_min_hz, problem.costs.cpu_max_hz
    bad = ~((cpu_hz >= least_hz * (1 - ROUNDING)) & (cpu_hz <= most_hz * (1 + ROUNDING)))
    if bad.any():
        limits = [
            np.broadcast_to(limit, problem.shape)[bad].flat[0] for limit in (least_hz, most_hz)
        ]
        raise PluginError(
            f"{title}: cpu_hz must be within {in_full(limits[0])} and {in_full(limits[1])}, "
            f"got {in_full(cpu_hz[bad].flat[0])}"
        )


def _check_real(title: str, name: str, value: Any) -> None:
    if not isinstance(value, Real) or isinstance(value, (bool, np.bool_)):
        raise PluginError(f"{title}: {name} must be a number, got {_kind_of(value)}")


def _check_type(title: str, method: str, value: Any, wanted: type) -> None:
    if not isinstance(value, wanted):
        raise PluginError(
            f"{title}: {method} must return a value of {wanted.__name__}, got {_kind_of(value)}"
        )


def _of_type(title: str, name: str, dtype: str, shape: tuple[int, ...], value: Any) -> str:
    return f"{title}: {name} must be a {dtype} array of shape {shape}, got {_kind_of(value)}"


def _kind_of(value: Any) -> str:
    if type(value) is np.ndarray:
        return f"{value.dtype} of shape {value.shape}"
    if isinstance(value, np.ndarray):
        return f"{type(value).__name__} of shape {value.shape}"
    return f"{type(value).__name__} {value!r}"


def _title(kind: str, plugin: object) -> str:
    """Key of a scenario file that names a plug-in, with kind and name."""
    name = plugin
    if not isinstance(plugin, str):
        name = plugins.name_of(plugin if isinstance(plugin, type) else type(plugin))
    return f"{_KEYS[kind]}: {kind} {name!r}"


def _place(error: BaseException) -> str:
    """File and line of an exception: those of the innermost call outside of packages."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((_PACKAGES, "<"))]
    outside = [frame for frame in own if _is_outside(frame.filename)]
    for frame in reversed(outside or own or frames):
        return f" ({frame.filename}, line {frame.lineno})"
    return ""


def _is_outside(file: str) -> bool:
    """True for a file that is not of this distribution."""
    return not any(file.startswith(folder) for folder in plugins.own_folders())
