"""A description for the terminal."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from studies.report.terminal import terminal
from studies.views.describe.description import Description
from wirelessfl.config.descriptions import REQUIRED


def print_description(found: Description) -> None:
    """Name, use, text and the table of fields."""
    console = terminal()
    console.print(found.name, style="bold", end=" ")
    console.print(f"({found.kind}): {found.text}")
    console.print(f"use: {found.use}")
    if found.details:
        console.print()
        for paragraph in found.details.split("\n\n"):
            indented = any(line.startswith(" ") for line in paragraph.split("\n"))
            text = paragraph if indented else " ".join(paragraph.split())
            console.print(text, highlight=False)
    if not found.fields:
        return
    table = Table("field", "type", "default", "description", box=SIMPLE_HEAD)
    if found.kind == "preset":
        table = Table("field", "value", box=SIMPLE_HEAD)
    for field in found.fields:
        default = toml_value(field.default)
        cells = (
            [field.name, default]
            if found.kind == "preset"
            else [field.name, field.type, default, field.text]
        )
        table.add_row(*cells)
    console.print(table)


def toml_value(value: Any) -> str:
    """A value as it stands in a scenario file; `-` where none is set."""
    if value is None:
        return "-"
    if value is REQUIRED:
        return str(REQUIRED)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(toml_value(one) for one in value) + "]"
    return repr(value)
