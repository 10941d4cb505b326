"""Ranges of a random search: intervals or lists, and narrower ones around a value."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from wirelessfl.errors import InputError, check_number

DIGITS = 4  # significant digits of a draw, so that a table shows the exact value of a run


class Range(Protocol):
    """Values of a field."""

    def draw(self, rng: np.random.Generator) -> Any:
        """A random value."""
        ...

    def around(self, value: Any, shrink: float) -> "Range":
        """A narrower range around a value.

        Args:
            value: The centre.
            shrink: Relative width, in (0, 1].

        Returns:
            The part of this range centred on `value`, clipped at its ends.
        """
        ...


@dataclass(frozen=True)
class Uniform:
    """Uniform distribution from `low` to `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high)

    def draw(self, rng: np.random.Generator) -> float:
        """A random number of four significant digits."""
        return _rounded(rng.uniform(self.low, self.high), self.low, self.high)

    def around(self, value: float, shrink: float) -> "Uniform":
        """[value - r, value + r] with 2 r = shrink (high - low)."""
        reach = 0.5 * shrink * (self.high - self.low)
        return Uniform(max(self.low, value - reach), min(self.high, value + reach))

    def __str__(self) -> str:
        return f"lin:{self.low:g}:{self.high:g}"


@dataclass(frozen=True)
class LogUniform:
    """Log-uniform distribution from `low` to `high`, both above 0."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_ends(self.low, self.high)
        check_number("--over low end", self.low, above=0)

    def draw(self, rng: np.random.Generator) -> float:
        """A random number of four significant digits."""
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
    """Uniform distribution over `values`, listed in order."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise InputError("--over must have at least one value to choose from, got none")

    def draw(self, rng: np.random.Generator) -> Any:
        """One of the values at random."""
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
    """Parse texts `section.field=RANGE`.

    Args:
        texts: One text per field, with a RANGE for `parse_range`.

    Returns:
        Field -> range.

    Raises:
        InputError: A text has another form, or a field is given twice.
    """
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
    """Parse a range.

    Args:
        name: The field, for error messages.
        text: `low:high` (log-uniform), `lin:low:high` or `{a,b,...}`.

    Returns:
        The range.

    Raises:
        InputError: The text has another form, or its ends are invalid.
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
