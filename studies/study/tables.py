"""A study's table and claims for the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from studies.report.results import Cell, Sample, Table
from studies.report.terminal import print_table, terminal
from wirelessfl.text import printable

COLOURS = {"holds": "green", "refuted": "red", "undecided": "yellow"}


def print_study(title: str, table: Table, claims: Sequence[dict[str, Any]]) -> None:
    """Print the results, mean ± standard error over seeds, and every claim with its verdict."""
    rows = [[_text(cell) for cell in row.values()] for row in table.rows]
    headings = [column.replace("_", " ") for column in table.columns]
    print_table(headings, rows, title=title)
    console = terminal()
    cells = [cell for row in table.rows for cell in row.values()]
    if any(isinstance(cell, Sample) and len(cell.values) > 1 for cell in cells):
        console.print("± one standard error over seeds", highlight=False)
    for claim in claims:
        line = Text(claim["verdict"], style=COLOURS[claim["verdict"]])
        kind = "" if claim["kind"] == "measured" else f" ({claim['kind']})"
        text = f"{kind}: {claim['claim']} ({claim['figures']})"
        line.append(printable(text), style="default")
        console.print(line)


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
