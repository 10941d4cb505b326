"""A varied field of an experiment and its values, parsed from the command line."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wirelessfl.config import toml
from wirelessfl.config.scenario_file import SECTIONS, Tables, merge
from wirelessfl.errors import InputError, check_choice, check_count
from wirelessfl.units import parse_quantity

MOST_VALUES = 1_000_000


@dataclass(frozen=True)
class Axis:
    """A field and the values that it takes.

    Attributes:
        section: Section of the scenario file.
        field: Key in the section; a power field may be given as `_dbm`.
        values: Values as they stand in a scenario file, in the field's unit.
    """

    section: str
    field: str
    values: tuple[Any, ...]

    @property
    def name(self) -> str:
        """`section.field`."""
        return f"{self.section}.{self.field}"

    @property
    def numeric(self) -> bool:
        """True if all values are numbers."""
        return all(
            isinstance(value, (int, float)) and not isinstance(value, bool) for value in self.values
        )

    @property
    def logarithmic(self) -> bool:
        """True if the values are at least three numbers above 0 with a constant ratio."""
        if not self.numeric or len(self.values) < 3 or min(self.values) <= 0:
            return False
        steps = np.diff(np.log(np.array(self.values, dtype=np.float64)))
        return bool(np.allclose(steps, steps[0], rtol=1e-6) and steps[0] != 0)

    @classmethod
    def parse(cls, text: str, sections: Sequence[str] = SECTIONS) -> "Axis":
        """Parse `section.field=VALUES`.

        Args:
            sections: The sections whose fields may be varied.
            text: VALUES is `start:stop:count`, `log:start:stop:count` (ends included) or a list
                `a,b,...` of numbers with or without a unit, words, booleans or TOML arrays.

        Returns:
            The field and its values.

        Raises:
            InputError: The text is malformed, the section is unknown, or a unit does not fit the
                field.
        """
        target, equals, given = text.partition("=")
        section, dot, field = target.strip().partition(".")
        if not (equals and dot and field and given.strip()):
            raise InputError(
                "--vary must be section.field=start:stop:count, log:start:stop:count or a,b,..., "
                f"got {text!r}"
            )
        check_choice("--vary section", section, sections)
        return cls(section, field, _values(f"{section}.{field}", given.strip()))

    @classmethod
    def of(cls, name: str, values: Any) -> "Axis":
        """The axis of a field given as `section.field`; strings among the values may have units.

        Raises:
            InputError: The name is malformed, its section is unknown, or a unit does not fit.
        """
        if isinstance(values, str):
            return cls.parse(f"{name}={values}")
        section, _, field = name.partition(".")
        check_choice("section of a varied field", section, SECTIONS)
        listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
        items = [_item(name, value) if isinstance(value, str) else value for value in listed]
        if not items:
            raise InputError(f"{name} must take at least one value, got none")
        return cls(section, field, tuple(items))

    def applied(self, tables: Tables, value: Any) -> Tables:
        """The tables with the field at `value`."""
        return merge(tables, {self.section: {self.field: value}})


def _values(name: str, given: str) -> tuple[Any, ...]:
    parts = given.split(":")
    logarithmic = parts[0] == "log"
    if len(parts) == 3 + logarithmic:
        return _spaced(name, parts[logarithmic:], logarithmic, given)
    if len(parts) > 1 and not given.startswith("["):
        raise InputError(
            f"{name} must be start:stop:count, log:start:stop:count or a,b,..., got {given!r}"
        )
    return tuple(_item(name, item) for item in _split(given))


def _spaced(name: str, parts: list[str], logarithmic: bool, given: str) -> tuple[Any, ...]:
    ends = [_item(name, part) for part in parts[:2]]
    if not all(isinstance(end, (int, float)) for end in ends) or not parts[2].strip().isdigit():
        raise InputError(f"{name} must be start:stop:count in numbers, got {given!r}")
    count = int(parts[2])
    check_count(f"{name}: count", count)
    if count > MOST_VALUES:
        raise InputError(f"{name}: count must be at most {MOST_VALUES}, got {count}")
    if logarithmic and min(ends) <= 0:
        raise InputError(f"{name}: ends of a logarithmic range must be above 0, got {given!r}")
    start, stop = (float(end) for end in ends)
    space = np.geomspace(start, stop, count) if logarithmic else np.linspace(start, stop, count)
    spaced = [float(f"{value:.12g}") for value in space]
    whole = all(isinstance(end, int) for end in ends)
    return tuple(int(value) if whole and value.is_integer() else value for value in spaced)


def _split(given: str) -> list[str]:
    """The items of a list: commas within brackets do not separate."""
    items, depth = [""], 0
    for character in given:
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            items.append("")
        else:
            items[-1] += character
    return [item.strip() for item in items]


def _item(name: str, text: str) -> Any:
    """A value from its text: a number with or without a unit, a TOML value, else a word."""
    quantity = parse_quantity(name, text)
    if quantity is not None:
        return quantity
    try:
        return toml.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if not text:
            raise InputError(f"{name} must be a list without empty items") from None
        return text
