"""A description for the terminal."""

from typing import Any

from rich.padding import Padding
from rich.text import Text

from studies.report.terminal import print_table, terminal
from studies.views.describe.description import Description
from wirelessfl.config.descriptions import REQUIRED, FieldDescription
from wirelessfl.text import printable


def print_description(found: Description) -> None:
    """Name, use, text, and each field with default, type and description."""
    console = terminal()
    line = Text(printable(found.name), style="bold")
    line.append(printable(f" ({found.kind}): {found.text}"), style="not bold")
    console.print(line)
    console.print(f"use: {found.use}")
    if found.details:
        console.print()
        for paragraph in found.details.split("\n\n"):
            indented = any(line.startswith(" ") for line in paragraph.split("\n"))
            text = paragraph if indented else " ".join(paragraph.split())
            console.print(text, highlight=False)
    if found.kind == "preset":
        rows = [[field.name, toml_value(field.default)] for field in found.fields]
        print_table(("field", "value"), rows, left=("value",))
        return
    for field in found.fields:
        console.print()
        console.print(_heading(field), style="bold", highlight=False)
        console.print(Padding(Text(printable(field.text)), (0, 0, 0, 4)))


def _heading(field: FieldDescription) -> str:
    """Name, default and type of a field."""
    if field.default is REQUIRED:
        return f"{field.name} ({field.type}, required)"
    default = "" if field.default is None else f" = {toml_value(field.default)}"
    return f"{field.name}{default} ({field.type})"


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
