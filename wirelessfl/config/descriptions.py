"""Descriptions of plug-ins and of their fields, read from dataclasses and their docstrings.

The `Attributes:` section of a dataclass describes its fields; the command line, commented scenario
files and the reference pages are generated from it.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from typing import Any, get_type_hints

from wirelessfl.config.fields import type_name

_ENTRY = re.compile(r"^(\w+)(?: \([^)]*\))?:\s*(.*)$")
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example|Examples|Yields|Note):$")


@dataclasses.dataclass(frozen=True)
class FieldDescription:
    """One key of a section of a scenario file.

    Attributes:
        name: Key in the scenario file.
        type: Type of its values in words.
        default: Default value; None for a key that is not set, `REQUIRED` for one without default.
        text: Description with unit and limits; empty where the docstring has none.
        owner: Name of the dataclass that declares the field.
    """

    name: str
    type: str
    default: Any
    text: str
    owner: str


REQUIRED = "required"


def summary(thing: Any) -> str:
    """First paragraph of a docstring in one line.

    Args:
        thing: Class, function or module.

    Returns:
        The paragraph; empty without a docstring of its own.
    """
    doc = thing.__doc__ or ""
    if dataclasses.is_dataclass(thing) and doc.startswith(f"{getattr(thing, '__name__', '')}("):
        return ""  # the signature that `dataclass` writes
    return " ".join(inspect.cleandoc(doc).split("\n\n")[0].split())


def prose(thing: Any) -> str:
    """Docstring without its `Attributes:` and other sections.

    Args:
        thing: Class, function or module.

    Returns:
        The text before the first section.
    """
    kept: list[str] = []
    for line in inspect.cleandoc(thing.__doc__ or "").split("\n"):
        if _SECTION.match(line):
            break
        kept.append(line)
    return "\n".join(kept).strip()


def describe_fields(cls: Any) -> list[FieldDescription]:
    """Descriptions of the keys of the section that a dataclass makes.

    Nested dataclasses are replaced by their fields.

    Args:
        cls: A dataclass: a plug-in, `Scenario` or `RunSettings`.

    Returns:
        One description per key, in the order of the fields.
    """
    return list(_described(cls, None))


def _described(cls: Any, start: Any) -> Iterator[FieldDescription]:
    hints = get_type_hints(cls)
    texts = _texts(cls)
    owners = _owners(cls)
    for field in dataclasses.fields(cls):
        default = _default(field) if start is None else getattr(start, field.name)
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from _described(hint, None if default is REQUIRED else default)
            continue
        yield FieldDescription(
            name=field.name,
            type=type_name(hint),
            default=default,
            text=texts.get(field.name, ""),
            owner=owners[field.name],
        )


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return REQUIRED


def _owners(cls: Any) -> dict[str, str]:
    """Name of the most derived class that declares each field."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found.update(dict.fromkeys(inspect.get_annotations(base), base.__name__))
    return found


def _texts(cls: Any) -> dict[str, str]:
    """Field -> description from the `Attributes:` sections of a class and of its bases."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found.update(_attributes(base.__dict__.get("__doc__") or ""))
    return found


def _attributes(doc: str) -> dict[str, str]:
    lines = inspect.cleandoc(doc).split("\n")
    if "Attributes:" not in lines:
        return {}
    found: dict[str, list[str]] = {}
    name = ""
    for line in lines[lines.index("Attributes:") + 1 :]:
        if line and not line.startswith(" "):
            break
        entry = _ENTRY.match(line.strip()) if re.match(r"^ {4}\S", line) else None
        if entry:
            name = entry[1]
            found[name] = [entry[2]]
        elif name and line.strip():
            found[name].append(line.strip())
    return {name: " ".join(parts).strip() for name, parts in found.items()}
