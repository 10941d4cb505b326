"""Where a random search looks for one field: a range or a list, and the smaller one around a value."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from wirelessfl.errors import InputError, check_number

DIGITS = 4  # significant ones of a draw: what a table shows is what was run


class Range(Protocol):
    """Values that a field may take."""

    def draw(self, rng: np.random.Generator) -> Any:
        """A value at random."""
        ...

    def around(self, value: Any, shrink: float) -> "Range":
        """The part of this range, `shrink` times as wide, that has `value` in its middle; cut off
        at its ends.
        """
        ...


@dataclass(frozen=True)
class Uniform:
    """Every number from `low` to `high` as likely."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high)

    def draw(self, rng: np.random.Generator) -> float:
        """A number of four significant digits."""
        return _rounded(rng.uniform(self.low, self.high), self.low, self.high)

    def around(self, value: float, shrink: float) -> "Uniform":
        """[value - r, value + r] with 2 r = shrink (high - low)."""
        reach = 0.5 * shrink * (self.high - self.low)
        return Uniform(max(self.low, value - reach), min(self.high, value + reach))

    def __str__(self) -> str:
        return f"lin:{self.low:g}:{self.high:g}"


@dataclass(frozen=True)
class LogUniform:
    """Every number from `low` to `high`, both above 0, with log x uniform: every decade is as
    likely.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high)
        check_number("--over low end", self.low, above=0)

    def draw(self, rng: np.random.Generator) -> float:
        """A number of four significant digits."""
        return _rounded(
            math.exp(rng.uniform(math.log(self.low), math.log(self.high))), self.low, self.high
        )

    def around(self, value: float, shrink: float) -> "LogUniform":
        """[value / f, value f] with f^2 = (high / low)^shrink."""
        reach = (self.high / self.low) ** (0.5 * shrink)
        return LogUniform(max(self.low, value / reach), min(self.high, value * reach))

    def __str__(self) -> str:
        return f"{self.low:g}:{self.high:g}"


@dataclass(frozen=True)
class Choice:
    """Each of `values`, which stand in their order, as likely."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise InputError("--over must have at least one value to choose from, got none")

    def draw(self, rng: np.random.Generator) -> Any:
        """One of the values."""
        return self.values[rng.integers(len(self.values))]

    def around(self, value: Any, shrink: float) -> "Choice":
        """`value` and its neighbours on both sides."""
        place = self.values.index(value)
        return Choice(self.values[max(0, place - 1) : place + 2])

    def __str__(self) -> str:
        return (
            "{"
            + ",".join(
                str(value).lower() if isinstance(value, bool) else str(value)
                for value in self.values
            )
            + "}"
        )


def parse_space(texts: Iterable[str]) -> dict[str, Range]:
    """`section.field=RANGE` each, RANGE as `parse_range` reads it."""
    space = {}
    for text in texts:
        name, equals, where = text.partition("=")
        if not equals or not name.strip():
            raise InputError(f"--over must be section.field=RANGE, got {text!r}")
        if name.strip() in space:
            raise InputError(f"--over {name.strip()} must be given once, got it twice")
        space[name.strip()] = parse_range(name.strip(), where.strip())
    return space


def parse_range(name: str, text: str) -> Range:
    """`low:high` (log-uniform), `lin:low:high` or `{a,b,...}`; `name` is the field's, for the
    errors.
    """
    try:
        if text.startswith("{") and text.endswith("}"):
            return Choice(
                tuple(_value(part.strip()) for part in text[1:-1].split(",") if part.strip())
            )
        kind = Uniform if text.startswith("lin:") else LogUniform
        return kind(*_ends(text))
    except InputError as error:
        raise InputError(str(error).replace("--over", f"--over {name}", 1)) from None


def _ends(text: str) -> tuple[float, float]:
    low, _, high = text.removeprefix("lin:").partition(":")
    try:
        return float(low), float(high)
    except ValueError:
        raise InputError(
            f"--over must be low:high, lin:low:high or {{a,b,...}}, got {text!r}"
        ) from None


def _value(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


def _check_ends(low: float, high: float) -> None:
    check_number("--over low end", low)
    check_number("--over high end", high, at_least=low)


def _rounded(value: float, low: float, high: float) -> float:
    return min(max(float(f"{value:.{DIGITS}g}"), low), high)
