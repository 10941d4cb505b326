"""One field of a scenario file and its values in a what-if analysis."""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np

from wirelessfl.config.fields import known_fields, watt_field
from wirelessfl.config.scenario_file import Tables, merge
from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.experiment import Experiment
from wirelessfl.units import dbm_to_watt, parse_quantity
from wirelessfl.values import Array, Scenario

SECTIONS = ("scenario", "channel", "allocation")
MOST_VALUES = 1_000_000


@dataclass(frozen=True, eq=False)
class Vary:
    """A numeric field and its values.

    Per-client fields take the same value for all clients.

    Attributes:
        section: Section of the scenario file.
        field: Name of the field.
        values: Its values, (P,).
    """

    section: str
    field: str
    values: Array

    @property
    def name(self) -> str:
        """`section.field`, as it was given."""
        return f"{self.section}.{self.field}"

    @property
    def si_field(self) -> str:
        """The field's name in the experiment; a power in dBm is held in watt."""
        return (watt_field(self.field) if self._is_power else None) or self.field

    @property
    def _is_power(self) -> bool:
        return watt_field(self.field) is not None and self.field not in known_fields(Scenario)

    @classmethod
    def parse(cls, text: str) -> "Vary":
        """Parse `section.field=start:stop:count` (both ends included) or `section.field=a,b,...`.

        Args:
            text: The text.

        Returns:
            The field and its values.

        Raises:
            InputError: The text has another form, or the section or a value is invalid.
        """
        target, equals, given = text.partition("=")
        section, dot, field = target.strip().partition(".")
        if not (equals and dot and field and given.strip()):
            raise InputError(
                "--vary must be section.field=start:stop:count or section.field=a,b,..., "
                f"got {text!r}"
            )
        check_choice("--vary section", section, SECTIONS)
        return cls(section, field, _values(f"--vary {section}.{field}", given.strip()))

    def in_tables(self, tables: Tables, value: float) -> Tables:
        """`tables` with the field at `value`."""
        return merge(
            tables, {self.section: {self.field: int(value) if value.is_integer() else value}}
        )

    def si(self, values: Array) -> Array:
        """`values` in the unit of `si_field`."""
        return dbm_to_watt(values) if self._is_power else values

    def of(self, experiment: Experiment, value: float) -> Experiment:
        """The experiment with the field at a value.

        Args:
            experiment: The experiment.
            value: The value, in the unit of the scenario file.

        Returns:
            The changed experiment.

        Raises:
            InputError: The field is unknown, or the value is out of range.
        """
        number = float(self.si(np.asarray(value)))
        if self.name == "allocation.max_pruning_ratio":
            return replace(experiment, max_pruning_ratio=number)
        part = "allocator" if self.section == "allocation" else self.section
        changed: Any = {part: _replaced(getattr(experiment, part), self.si_field, number)}
        return replace(experiment, **changed)

    def value_in(self, experiment: Experiment) -> Any:
        """The value of the field in `experiment`."""
        if self.name == "allocation.max_pruning_ratio":
            return experiment.max_pruning_ratio
        part = (
            experiment.allocator
            if self.section == "allocation"
            else getattr(experiment, self.section)
        )
        return _value(part, self.si_field)


def _values(name: str, given: str) -> Array:
    parts = given.split(":")
    try:
        numbers = [
            _number(name, item) for item in (given.split(",") if len(parts) == 1 else parts[:2])
        ]
        count = None if len(parts) == 1 else int(parts[2])
    except (ValueError, IndexError):
        raise InputError(
            f"{name} must be start:stop:count or a,b,... in numbers, got {given!r}"
        ) from None
    if len(parts) > 3:
        raise InputError(f"{name} must be start:stop:count or a,b,... in numbers, got {given!r}")
    check_number(name, numbers)
    if count is None:
        return np.array(numbers)
    check_count(f"{name}: count", count)
    if count > MOST_VALUES:
        raise InputError(f"{name}: count must be at most {MOST_VALUES}, got {count}")
    return np.linspace(numbers[0], numbers[1], count)


def _number(name: str, text: str) -> float:
    quantity = parse_quantity(name, text)
    return float(text) if quantity is None else quantity


def _replaced(settings: Any, field: str, value: float) -> Any:
    """A dataclass with a field, possibly nested, at `value`; whole numbers remain integers."""
    for item in fields(settings):
        old = getattr(settings, item.name)
        if item.name == field:
            whole = isinstance(old, int) and value.is_integer()
            return replace(settings, **{field: int(value) if whole else value})
        if is_dataclass(old) and field in known_fields(type(old)):
            return replace(settings, **{item.name: _replaced(old, field, value)})
    raise InputError(f"{field} is not a field of {type(settings).__name__}")


def _value(settings: Any, field: str) -> Any:
    for item in fields(settings):
        old = getattr(settings, item.name)
        if item.name == field:
            return old
        if is_dataclass(old) and field in known_fields(type(old)):
            return _value(old, field)
    raise InputError(f"{field} is not a field of {type(settings).__name__}")
