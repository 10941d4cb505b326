"""`InputError`, raised for invalid user input, and the validators that raise it."""

import difflib
import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

from wirelessfl.text import in_full


class InputError(ValueError):
    """Invalid user input; the message is one line naming field, limit and value."""


class DivergenceError(InputError):
    """Training that diverged under its settings.

    The message is one line that says where, and what to reduce.
    """


def check_number(
    field: str,
    value: Any,
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> None:
    """Check that a value is finite and in range.

    Args:
        field: Name of the field in the message.
        value: A number or a sequence of numbers.
        above: Exclusive lower limit.
        at_least: Lower limit.
        at_most: Upper limit.

    Raises:
        InputError: A value is not a finite number or is outside a limit.
    """
    for item in value if isinstance(value, Iterable) and not isinstance(value, str) else (value,):
        if not isinstance(item, Real) or isinstance(item, bool):
            raise InputError(f"{field} must be a number, got {item!r}")
        number = _as_float(item)
        if not math.isfinite(number):
            raise InputError(f"{field} must be finite, got {number}")
        if above is not None and not number > above:
            raise InputError(f"{field} must be above {in_full(above)}, got {_shown(item)}")
        if at_least is not None and not number >= at_least:
            raise InputError(f"{field} must be at least {in_full(at_least)}, got {_shown(item)}")
        if at_most is not None and not number <= at_most:
            raise InputError(f"{field} must be at most {in_full(at_most)}, got {_shown(item)}")


def _as_float(number: Real) -> float:
    """The number as a float; inf beyond its range, as a whole number can be."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _shown(number: Real) -> str:
    """A number of any type with all its digits: a whole one is not rounded."""
    return str(number) if isinstance(number, int) else in_full(float(number))


def check_count(field: str, value: Any, *, at_least: int = 1) -> None:
    """Check that a value is a whole number.

    Args:
        field: Name of the field in the message.
        value: The value.
        at_least: Lower limit.

    Raises:
        InputError: The value is not a whole number or is below the limit.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise InputError(f"{field} must be a whole number of at least {at_least}, got {value!r}")


def check_choice(field: str, value: str, choices: Iterable[str]) -> None:
    """Check that a value is one of the choices.

    Args:
        field: Name of the field in the message.
        value: The value.
        choices: Allowed values.

    Raises:
        InputError: The value is another one.
    """
    names = tuple(choices)
    if value not in names:
        raise InputError(
            f"{field} must be one of {', '.join(names)}; got {value!r}{closest(value, names)}"
        )


def closest(name: Any, known: Iterable[str]) -> str:
    """End of a message on an unknown name: the most similar known one.

    Args:
        name: The unknown name.
        known: Known names.

    Returns:
        ` (did you mean ...?)`; empty where no name is similar.
    """
    close = difflib.get_close_matches(str(name), list(map(str, known)), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
