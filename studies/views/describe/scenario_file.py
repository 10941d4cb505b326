"""A commented scenario file: every field with its description; defaults as comments."""

import textwrap
from collections.abc import Iterator
from typing import Any

from studies.views.describe.description import SECTIONS
from studies.views.describe.tables import toml_value
from wirelessfl.config.descriptions import FieldDescription, describe_fields, summary
from wirelessfl.config.scenario_file import (
    ALLOCATION_FIELDS,
    SELECTORS,
    Tables,
    from_tables,
    plugin_class,
    to_tables,
)

WIDTH = 100


def commented(tables: Tables, origin: str) -> str:
    """A scenario file in TOML with the values of `tables` and a comment for every field.

    Args:
        tables: Section -> field -> value, as read from a preset or a file.
        origin: Name of that preset or file, for the first line.

    Returns:
        The text; read back it gives the same experiment.

    Raises:
        InputError: The tables describe no experiment.
    """
    resolved = to_tables(from_tables(tables))
    parts = [f"# A scenario of wirelessfl, from {origin}. Fields in comments are at their default."]
    for section in ("scenario", "channel", "allocation", "training", "run"):
        parts.append("\n".join(_section(section, resolved[section])))
    return "\n\n".join(parts) + "\n"


def _section(section: str, values: dict[str, Any]) -> Iterator[str]:
    yield f"[{section}]"
    fields: list[FieldDescription] = []
    if section in SECTIONS:
        cls: Any = SECTIONS[section]
    else:
        key, kind = SELECTORS[section]
        cls = plugin_class(section, values[key])
        yield from _comment(f"{summary(cls)} (wirelessfl list {kind})")
        yield f"{key} = {toml_value(values[key])}"
        if section == "allocation":
            fields += [
                FieldDescription(name, "", default, text, "Experiment")
                for name, (_, default, text) in ALLOCATION_FIELDS.items()
            ]
    for field in (*fields, *describe_fields(cls)):
        if field.text:
            yield from _comment(field.text)
        value = values.get(field.name)
        if value is None or _same(value, field.default):
            default = toml_value(field.default)
            yield f"# {field.name}: not set" if default == "-" else f"# {field.name} = {default}"
        else:
            yield f"{field.name} = {toml_value(value)}"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _same(value: Any, default: Any) -> bool:
    return bool(value == (list(default) if isinstance(default, tuple) else default))
