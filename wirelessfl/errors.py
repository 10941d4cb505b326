"""`InputError`, raised for invalid user input, and the validators that raise it."""

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any


class InputError(ValueError):
    """Input that cannot be used; the message is one line naming field, limit and value."""


class DivergenceError(InputError):
    """Training that diverged under its settings; the message is one line that says where and what
    to reduce.
    """


def check_number(
    field: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> None:
    """Raise `InputError` unless `value`, a number or several, is finite and in range."""
    for item in value if isinstance(value, Iterable) and not isinstance(value, str) else (value,):
        if not isinstance(item, Real) or isinstance(item, bool):
            raise InputError(f"{field} must be a number, got {item!r}")
        number = float(item)
        if not math.isfinite(number):
            raise InputError(f"{field} must be finite, got {number}")
        if above is not None and not number > above:
            raise InputError(f"{field} must be above {above:g}, got {number:g}")
        if at_least is not None and not number >= at_least:
            raise InputError(f"{field} must be at least {at_least:g}, got {number:g}")
        if at_most is not None and not number <= at_most:
            raise InputError(f"{field} must be at most {at_most:g}, got {number:g}")


def check_count(field: str, value: Any, *, at_least: int = 1) -> None:
    """Raise `InputError` unless `value` is a whole number of at least `at_least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise InputError(f"{field} must be a whole number of at least {at_least}, got {value!r}")


def check_choice(field: str, value: str, choices: Iterable[str]) -> None:
    """Raise `InputError` unless `value` is one of `choices`."""
    names = tuple(choices)
    if value not in names:
        raise InputError(f"{field} must be one of {', '.join(names)}; got {value!r}")
