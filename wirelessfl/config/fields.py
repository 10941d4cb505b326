"""Keys of a section: names and types of a dataclass's fields, from TOML values and back."""

import dataclasses
import difflib
import json
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from wirelessfl.config.input_files import INPUT_FILE
from wirelessfl.errors import InputError, check_number, closest
from wirelessfl.scenario.spread import FORMS, Spread
from wirelessfl.units import dbm_to_watt, parse_quantity

LEVELS = {"_dbm": "_w", "_dbm_per_hz": "_w_per_hz"}  # endings of a level and of its power
MAX_DBM = 300.0  # beyond any radio, within any float


def known_fields(cls: Any) -> Mapping[str, Any]:
    """Names and types of all keys of a section, read-only.

    Nested dataclasses are replaced by their fields.

    Args:
        cls: The dataclass that the section makes.

    Returns:
        Types by name.

    Raises:
        InputError: Two fields have the same name.
    """
    return _known_fields(cls)


@cache
def _known_fields(cls: Any) -> Mapping[str, Any]:
    hints = _hints(cls)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        own = known_fields(hint) if dataclasses.is_dataclass(hint) else {field.name: hint}
        if twice := own.keys() & found.keys():
            raise InputError(
                f"{cls.__name__} has the field {min(twice)} twice: "
                "once of its own, once in what it holds"
            )
        found.update(own)
    return MappingProxyType(found)


@cache
def file_fields(cls: Any) -> tuple[str, ...]:
    """Names of the keys of a section that name a file (metadata `INPUT_FILE`).

    Args:
        cls: The dataclass that the section makes.

    Returns:
        The names.
    """
    hints = _hints(cls)
    found = list[str]()
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            found += file_fields(hints[field.name])
        elif field.metadata.get(INPUT_FILE):
            found.append(field.name)
    return tuple(found)


def build(cls: Any, section: str, table: dict[str, Any]) -> Any:
    """Build a dataclass from the keys of a section.

    Args:
        cls: The dataclass that the section makes.
        section: Name of the section, for messages.
        table: TOML values by key.

    Returns:
        An object of `cls`.

    Raises:
        InputError: A key is unknown or a value is invalid; the message names section and field.
    """
    types = known_fields(cls)
    values = {}
    for key, value in table.items():
        value = _without_units(f"{section}.{key}", value, types.get(key))
        check_key(section, key, types)
        field, value = _to_si(key, value, types, table, section)
        values[field] = typed(f"{section}.{field}", types[field], value)
    try:
        return _nest(cls, values)
    except InputError as error:
        message = str(error)
        if message.startswith(f"{section}."):
            raise
        raise InputError(
            f"{section}.{message}" if message.split()[0] in types else f"{section}: {message}"
        ) from None


def check_key(section: str, key: str, types: Mapping[str, Any]) -> None:
    """Check that a section has a key.

    Args:
        section: Name of the section.
        key: The key; a power may be given as a level in dBm.
        types: Types of the fields by name.

    Raises:
        InputError: The section has no such key.
    """
    if key not in types and watt_field(key) not in types:
        raise InputError(f"{section}.{key} is not a field of [{section}]{hint_at(key, types)}")


def _without_units(name: str, value: Any, annotation: Any) -> Any:
    """Numbers that are written with a unit as numbers; text of a text field is unchanged."""
    kinds = get_args(annotation)
    is_text = annotation is str or (str in kinds and float not in kinds)
    if is_text or get_origin(annotation) is Literal:
        return value
    if isinstance(value, str):
        quantity = parse_quantity(name, value)
        return value if quantity is None else quantity
    if isinstance(value, list):
        return [_without_units(name, item, None) for item in value]
    return value


def _nest(cls: Any, values: dict[str, Any], start: Any = None) -> Any:
    """Build an object of `cls` from `values`.

    Values that are not given are those of `start`, the default of the field that holds the object.
    """
    hints = _hints(cls)
    arguments = {}
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            factory = field.default_factory
            default = getattr(
                start, field.name, None if factory is dataclasses.MISSING else factory()
            )
            arguments[field.name] = _nest(hints[field.name], values, default)
        elif field.name in values:
            arguments[field.name] = values[field.name]
    return cls(**arguments) if start is None else dataclasses.replace(start, **arguments)


def flat(value: Any) -> dict[str, Any]:
    """Convert the fields of a dataclass to TOML values.

    Args:
        value: The object; the fields of nested dataclasses take their place.

    Returns:
        TOML values by key, without those that are None, which TOML does not have.
    """
    table: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if dataclasses.is_dataclass(item):
            table.update(flat(item))
        elif item is not None:
            table[field.name] = list(item) if isinstance(item, tuple) else item
    return table


def watt_field(key: str) -> str | None:
    """Field in watt (or W/Hz) that belongs to a level in dBm (or dBm/Hz).

    Args:
        key: Key of a section.

    Returns:
        Name of the field; None where the key is not a level.
    """
    return next(
        (key.removesuffix(level) + watt for level, watt in LEVELS.items() if key.endswith(level)),
        None,
    )


def level_field(key: str) -> str | None:
    """Field in dBm (or dBm/Hz) that belongs to a power in watt (or W/Hz), inverse to `watt_field`.

    Args:
        key: Key of a section.

    Returns:
        Name of the level; None where the key is not a power.
    """
    return next(
        (key.removesuffix(watt) + level for level, watt in LEVELS.items() if key.endswith(watt)),
        None,
    )


def _to_si(
    key: str, value: Any, types: Mapping[str, Any], table: Mapping[str, Any], section: str
) -> tuple[str, Any]:
    """Convert a level in dBm (or dBm/Hz) where the section has the field in watt (W/Hz).

    All other values stay unchanged.
    """
    watt = watt_field(key)
    if watt is None or watt not in types:
        return key, value
    if watt in table:
        raise InputError(f"{section}.{key} and {section}.{watt} are the same field: give one")
    if isinstance(value, str) and str in get_args(types[watt]):
        levels = Spread.parse(f"{section}.{key}", value)
        check_number(f"{section}.{key}", levels.ends, at_least=-MAX_DBM, at_most=MAX_DBM)
        return watt, levels.in_watt(f"{section}.{key}").text
    level_dbm = typed(f"{section}.{key}", float | tuple[float, ...], value)
    check_number(f"{section}.{key}", level_dbm, at_least=-MAX_DBM, at_most=MAX_DBM)
    power_w = dbm_to_watt(level_dbm)
    return watt, power_w.tolist()


def typed(field: str, annotation: Any, value: Any) -> Any:
    """Check and convert a value to a type.

    A list becomes a tuple and a whole number a float, but never a string a number.

    Args:
        field: Name of the field, for the message.
        annotation: Type of the field.
        value: TOML value.

    Returns:
        The value in the given type.

    Raises:
        InputError: The value has another type.
    """
    try:
        return _adapter(annotation).validate_json(json.dumps(value), strict=True)
    except (TypeError, ValidationError):
        choices = get_args(annotation) if get_origin(annotation) is Literal else ()
        hint = closest(value, choices)
        raise InputError(f"{field} must be {type_name(annotation)}, got {value!r}{hint}") from None


# Type hints of a class never change, and a study reads hundreds of experiments.
_hints = cache(get_type_hints)


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def type_name(annotation: Any) -> str:
    """Type of a field in words.

    Args:
        annotation: Type of the field.

    Returns:
        Words such as "a number"; the type itself where there are none.
    """
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
    if isinstance(annotation, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        annotation = kinds[0] if len(kinds) == 1 else annotation
    if annotation in names:
        return names[annotation]
    text = str(annotation).replace("typing.", "").replace(" | None", "")
    readable = {
        "float | tuple[float, ...]": "a number or a list of numbers, one per client",
        "float | tuple[float, ...] | str": FORMS,
        "str | tuple[str, ...]": "a string or a list of strings",
        "tuple[float, float]": "a list of two numbers",
        "tuple[str, ...]": "a list of strings",
        "tuple[tuple[float, float], ...]": "a list of pairs of numbers",
        "tuple[tuple[int, ...], ...]": "a list of lists of whole numbers",
    }
    if text.startswith("Literal["):
        return "one of " + text.removeprefix("Literal[").removesuffix("]").replace("'", "")
    return readable.get(text, text)


def hint_at(name: str, known: Any) -> str:
    """End of an error line that helps with an unknown name.

    Args:
        name: The unknown name.
        known: Known names.

    Returns:
        The nearest of the known names, or all of them.
    """
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]}?)" if close else f"; there are {', '.join(known) or 'none'}"
