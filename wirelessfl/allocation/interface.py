"""Interface of all allocation problems, whatever their rate model, and checks of their fields."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import Field, fields, replace
from functools import cache
from typing import Any, ClassVar, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wirelessfl.allocation.costs import Costs
from wirelessfl.allocation.ranges import Limits, few_values, limits_of, values_within_range
from wirelessfl.errors import InputError, check_number

Array = NDArray[np.float64]

_Kind = TypeVar("_Kind")
_LAST_DIGITS = 2.0**-51  # error of a difference 1 - x, which is itself rounded to 2^-53


class Problem(Protocol):
    """Part of a problem that allocators, certificates and `Allocation` read.

    A problem is a dataclass; every array has shape (..., K).
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def deadline_s(self) -> ArrayLike:
        """Deadline of the round in s."""
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
    def costs(self) -> Costs | None:
        """Cycles, frequencies and powers of the round; None where no energy is asked for."""
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
        """Smallest fraction of the band that meets the deadline at `max_pruning_ratio`."""
        ...

    @property
    def entry_bandwidth(self) -> Array:
        """Fraction of the band that the fixed bits need."""
        ...

    def speed(self, bandwidth_fraction: ArrayLike) -> Array:
        """Rate over a fraction of the band relative to the best one: uploads take upload_s / speed.

        Args:
            bandwidth_fraction: Fraction of the band; (..., K).

        Returns:
            Relative rate; (..., K).
        """
        ...

    def band_at(self, speed: ArrayLike) -> Array:
        """Smallest fraction of the band with a given relative rate.

        Args:
            speed: Relative rate; (..., K).

        Returns:
            Fraction of the band; (..., K), inf where none has this rate.
        """
        ...

    def latency_s(self, bandwidth_fraction: ArrayLike, pruning_ratio: ArrayLike) -> Array:
        """Latency of each client.

        Args:
            bandwidth_fraction: Fraction of the band; (..., K).
            pruning_ratio: Pruning ratio; (..., K).

        Returns:
            Latency in s; (..., K).
        """
        ...

    def latency_of_kept_s(self, bandwidth_fraction: ArrayLike, kept_fraction: ArrayLike) -> Array:
        """Latency of each client, from the kept fraction instead of the pruning ratio.

        Args:
            bandwidth_fraction: Fraction of the band; (..., K).
            kept_fraction: Kept fraction; (..., K).

        Returns:
            Latency in s; (..., K).
        """
        ...


def ratio(numerator: Array, denominator: Array) -> Array:
    """Quotient with 0 / 0 = 0 and a / 0 = inf.

    Args:
        numerator: Values at least 0; any shape.
        denominator: Values at least 0; broadcast against the numerator.

    Returns:
        The quotient.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(numerator == 0, 0.0, numerator / denominator)


def kept_fraction(pruning_ratio: Array, exact_kept: Array | None, below: float = 1.0) -> Array:
    """1 - `pruning_ratio`, with the digits that the subtraction loses next to a ratio of 1.

    Args:
        pruning_ratio: rho; (..., K).
        exact_kept: x as the allocator computed it, or None; (..., K).
        below: Size of x below which its lost digits count.

    Returns:
        `exact_kept` where it is below that size and differs from 1 - rho by rounding only, 1 - rho
        elsewhere; (..., K).
    """
    kept = 1.0 - np.asarray(pruning_ratio)
    if exact_kept is None:
        return kept
    lost = (exact_kept <= below) & (np.abs(kept - exact_kept) <= _LAST_DIGITS)
    return np.where(lost, exact_kept, kept)


def client_fields(problem: Any) -> list[str]:
    """Fields of a problem with a value per client: all but `bandwidth_hz`, `link`, `costs`.

    Args:
        problem: A problem, which is a dataclass.

    Returns:
        Names of the fields.
    """
    return list(_client_fields(cast(Hashable, type(problem)))[0])


@cache
def _client_fields(kind: Hashable) -> tuple[tuple[str, ...], Limits]:
    """Names of `client_fields` of a class, and their limits."""
    names = tuple(
        field.name
        for field in fields(cast(Any, kind))
        if field.name not in ("bandwidth_hz", "link", "costs")
    )
    return names, limits_of(names)


def merged(problems: Sequence[Problem], merge: Callable[[list[Array]], Array]) -> Problem:
    """Problem whose values per client are made of those of several problems, field by field.

    Args:
        problems: Problems of one kind.
        merge: Function from the arrays of a field, one of each problem, to the new array.

    Returns:
        The problem; its other fields are those of the first one.
    """
    first: Any = problems[0]
    values: dict[str, Any] = {
        name: merge([getattr(problem, name) for problem in problems])
        for name in client_fields(first)
    }
    if first.costs is not None:
        values["costs"] = Costs(
            **{
                one.name: merge(
                    [np.broadcast_to(getattr(p.costs, one.name), p.shape) for p in problems]
                )
                for one in fields(Costs)
            }
        )
    return cast(Problem, replace(first, **values))


def broadcast_fields(problem: Any) -> None:
    """Replace each of `client_fields` by a read-only float64 array of the common shape (..., K).

    The fields of at most `FEW` values are copied into one table, `_table` of the problem, which is
    checked at once, and are looked up in it when they are read; of a larger problem it is None.

    Args:
        problem: A problem under construction, of a class decorated with `rows_when_read`.

    Raises:
        InputError: A field is outside its range, or shapes do not broadcast.
    """
    names, limits = _client_fields(cast(Hashable, type(problem)))
    given = problem.__dict__
    table = few_values([given[name] for name in names], limits)
    given["_table"] = table
    if table is not None:
        table.flags.writeable = False
        for name in names:
            del given[name]
        return
    arrays = {name: values_within_range(name, given[name]) for name in names}
    try:
        shape = np.broadcast_shapes((1,), *(array.shape for array in arrays.values()))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"shapes must broadcast to (..., K), got {shapes}") from None
    if shape[-1] == 0:
        raise InputError("the problem must have at least 1 client, got 0")
    given.update({name: _read_only(array, shape) for name, array in arrays.items()})


class _Row:
    """A field of a problem that is looked up in its table when it is first read."""

    def __init__(self, name: str, row: int) -> None:
        self._name = name
        self._row = row

    def __get__(self, problem: Any, kind: type) -> Any:
        if problem is None:
            return self
        row = problem.__dict__["_table"][self._row]
        problem.__dict__[self._name] = row
        return row


def rows_when_read(kind: type[_Kind]) -> type[_Kind]:
    """Class decorator of a problem whose constructor calls `broadcast_fields`.

    Args:
        kind: The dataclass.

    Returns:
        The class, whose `client_fields` are looked up in the table when they are read.
    """
    for row, name in enumerate(_client_fields(cast(Hashable, kind))[0]):
        setattr(kind, name, _Row(name, row))
    return kind


def check_band(bandwidth_hz: Any) -> None:
    """Refuse a bandwidth that is not one number above 0: a problem has one band, a batch included.

    Args:
        bandwidth_hz: Bandwidth in Hz.

    Raises:
        InputError: It is anything else.
    """
    if isinstance(bandwidth_hz, Iterable) and not isinstance(bandwidth_hz, str):
        raise InputError(f"bandwidth_hz must be one number, got {bandwidth_hz!r}")
    check_number("bandwidth_hz", bandwidth_hz, above=0)
    values_within_range("bandwidth_hz", bandwidth_hz)


def _read_only(array: Array, shape: tuple[int, ...]) -> Array:
    """A view of `array` in `shape` that cannot be written to."""
    if array.shape != shape:
        return np.broadcast_to(array, shape)
    view = array.view()
    view.flags.writeable = False
    return view


def times(kept: Array, seconds: Array) -> Array:
    """Product with 0 * inf = 0: a client that keeps nothing uploads nothing, at any rate.

    Args:
        kept: Kept fraction; any shape.
        seconds: Time in s of the whole; the shape of `kept`.

    Returns:
        Time in s of the kept fraction.
    """
    with np.errstate(invalid="ignore"):
        return np.where(kept == 0, 0.0, kept * seconds)
