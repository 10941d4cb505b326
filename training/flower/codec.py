"""Local work and its results as JSON and arrays: a message without pickles."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.engine.optimizer import Moments, Optimizer, Schedule
from training.engine.program import (
    Accumulate,
    EvaluationWork,
    LocalResult,
    LocalWork,
    Prune,
    SampleSelection,
    Train,
    TrainMask,
    TrainPruned,
)
from training.sparsity.prox import SoftThreshold, TopK
from training.structure.submodel import SubModel
from wirelessfl.errors import InputError
from wirelessfl.records import strict_json
from wirelessfl.rng import Streams

_TYPES: Mapping[str, type[Any]] = {
    one.__name__: one
    for one in (
        *(LocalWork, LocalResult, EvaluationWork, SampleSelection),
        *(Train, Prune, Accumulate, TrainMask, TrainPruned),
        *(Optimizer, Schedule, Moments, Streams, SubModel, TopK, SoftThreshold),
    )
}
_KIND, _ARRAY, _MAPPING, _TUPLE = "kind", "array", "mapping", "tuple"


def encode(value: Any) -> tuple[str, list[NDArray[Any]]]:
    """Text and arrays of a work or a result.

    Args:
        value: A `LocalWork`, an `EvaluationWork` or a `LocalResult`.

    Returns:
        JSON, and the arrays that it numbers.

    Raises:
        InputError: It holds an object of another class.
    """
    arrays: list[NDArray[Any]] = []
    return strict_json.dumps(_plain(value, arrays)), arrays


def decode(text: str, arrays: Sequence[NDArray[Any]]) -> Any:
    """The inverse of `encode`; only classes of local work are made.

    Args:
        text: JSON.
        arrays: The arrays that it numbers.

    Returns:
        The work or the result.

    Raises:
        InputError: The message holds something else.
    """
    try:
        return _object(json.loads(text), arrays)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise InputError(f"a message of local work must be one of this version: {error}") from None


def _plain(value: Any, arrays: list[NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {_ARRAY: len(arrays) - 1}
    if isinstance(value, np.generic):
        return value.item()
    if is_dataclass(value) and type(value).__name__ in _TYPES:
        parts = {one.name: _plain(getattr(value, one.name), arrays) for one in fields(value)}
        return {_KIND: type(value).__name__, "fields": parts}
    if isinstance(value, Mapping):
        return {_MAPPING: [[str(name), _plain(one, arrays)] for name, one in value.items()]}
    if isinstance(value, tuple | list):
        return {_TUPLE: [_plain(one, arrays) for one in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise InputError(f"a message of local work must hold no {type(value).__name__}")


def _object(plain: Any, arrays: Sequence[NDArray[Any]]) -> Any:
    if not isinstance(plain, dict):
        return plain
    if _ARRAY in plain:
        return arrays[plain[_ARRAY]]
    if _MAPPING in plain:
        return {name: _object(one, arrays) for name, one in plain[_MAPPING]}
    if _TUPLE in plain:
        return tuple(_object(one, arrays) for one in plain[_TUPLE])
    made = _TYPES[plain[_KIND]]
    return made(**{name: _object(one, arrays) for name, one in plain["fields"].items()})
