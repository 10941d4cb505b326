"""What every allocation problem has, whatever its rate model: the interface, and the checks of its
fields.
"""

from collections.abc import Iterable
from dataclasses import Field, fields
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.errors import InputError, check_number

Array = NDArray[np.float64]


class Problem(Protocol):
    """What allocators, certificates and `Allocation` ask of a problem, a dataclass; every array has
    shape (..., K).
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def deadline_s(self) -> ArrayLike:
        """Deadline of the round, in s."""
        ...

    @property
    def fixed_s(self) -> ArrayLike:
        """Time that pruning does not shorten, in s."""
        ...

    @property
    def prunable_s(self) -> ArrayLike:
        """Time of the unpruned model that shrinks with the kept fraction, in s."""
        ...

    @property
    def upload_bits(self) -> ArrayLike:
        """Bits of the unpruned upload."""
        ...

    @property
    def fixed_upload_bits(self) -> ArrayLike:
        """Bits that pruning does not shorten."""
        ...

    @property
    def weight(self) -> ArrayLike:
        """Weight of each client's kept fraction in the objective."""
        ...

    @property
    def max_pruning_ratio(self) -> ArrayLike:
        """Largest pruning ratio."""
        ...

    @property
    def bandwidth_hz(self) -> float | None:
        """Bandwidth of the whole band, in Hz; None where no price per Hz is asked for."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (..., K) to which every field broadcasts."""
        ...

    @property
    def slack_s(self) -> Array:
        """Deadline minus fixed time, in s."""
        ...

    @property
    def upload_s(self) -> Array:
        """Time of the unpruned upload over the whole band, in s."""
        ...

    @property
    def fixed_upload_s(self) -> Array:
        """Time of the fixed bits over the whole band, in s."""
        ...

    @property
    def min_bandwidth(self) -> Array:
        """Fraction of the band that keeps `max_pruning_ratio`."""
        ...

    @property
    def entry_bandwidth(self) -> Array:
        """Fraction of the band that the fixed bits need."""
        ...

    def speed(self, bandwidth_fraction: ArrayLike) -> Array:
        """Rate at each fraction of the band over the best rate within it, so that uploads take
        upload_s / speed.
        """
        ...

    def band_at(self, speed: ArrayLike) -> Array:
        """The smallest fraction of the band that gives `speed`, inf when none does."""
        ...

    def latency_s(self, bandwidth_fraction: ArrayLike, pruning_ratio: ArrayLike) -> Array:
        """When each client finishes."""
        ...


def ratio(numerator: Array, denominator: Array) -> Array:
    """numerator / denominator with 0 / 0 = 0 and a / 0 = inf."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(numerator == 0, 0.0, numerator / denominator)


def client_fields(problem: Any) -> list[str]:
    """The fields of a problem with a value per client: all but `bandwidth_hz` and `link`."""
    return [field.name for field in fields(problem) if field.name not in ("bandwidth_hz", "link")]


def broadcast_fields(problem: Any) -> None:
    """Hold each of `client_fields` as a float64 array of the same shape (..., K), or raise."""
    arrays = {}
    for name in client_fields(problem):
        value = getattr(problem, name)
        try:
            arrays[name] = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(
                f"{name} must be a number or an array of numbers, got {value!r}"
            ) from None
        _check_range(name, arrays[name])
    try:
        shape = np.broadcast_shapes((1,), *(array.shape for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"shapes must broadcast to (..., K), got {shapes}") from None
    if shape[-1] == 0:
        raise InputError("the problem must have at least 1 client, got 0")
    for name, array in arrays.items():
        object.__setattr__(problem, name, _read_only(array, shape))


def check_band(bandwidth_hz: Any) -> None:
    """Raise `InputError` unless `bandwidth_hz` is one number above 0: a problem has one band, a
    batch included.
    """
    if isinstance(bandwidth_hz, Iterable) and not isinstance(bandwidth_hz, str):
        raise InputError(f"bandwidth_hz must be one number, got {bandwidth_hz!r}")
    check_number("bandwidth_hz", bandwidth_hz, above=0)


def _read_only(array: Array, shape: tuple[int, ...]) -> Array:
    """A view of `array` in `shape` that cannot be written to."""
    if array.shape != shape:
        return np.broadcast_to(array, shape)
    view = array.view()
    view.flags.writeable = False
    return view


def times(kept: Array, seconds: Array) -> Array:
    """kept * seconds with 0 * inf = 0: who keeps nothing uploads nothing, at any rate."""
    with np.errstate(invalid="ignore"):
        return np.where(kept == 0, 0.0, kept * seconds)


def _check_range(name: str, array: Array) -> None:
    if array.size == 0:
        return
    low, high = array.min(), array.max()  # both nan where one number is
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{name} must be finite, got {array[~np.isfinite(array)].flat[0]}")
    if name == "deadline_s" and low <= 0:
        raise InputError(f"deadline_s must be above 0, got {low:g}")
    if low < 0:
        raise InputError(f"{name} must be at least 0, got {low:g}")
    if name == "max_pruning_ratio" and high > 1:
        raise InputError(f"max_pruning_ratio must be at most 1, got {high:g}")
