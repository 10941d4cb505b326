"""A study's table and claims for the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table as RichTable

from studies.report.results import Cell, Table
from studies.report.terminal import terminal

WIDTH = 120  # of a table that is not printed to a terminal


def print_study(title: str, table: Table, claims: Sequence[dict[str, Any]]) -> None:
    """Print the results, mean ± standard error over seeds, and every claim with its verdict."""
    console = terminal()
    if not console.is_terminal:
        console.width = WIDTH
    shown = RichTable(*(column.replace("_", " ") for column in table.columns), title=title)
    shown.columns[0].overflow = "fold"
    for column in shown.columns[1:]:
        column.justify = "right"
    for row in table.rows:
        shown.add_row(*(_text(cell) for cell in row.values()))
    console.print(shown)
    for claim in claims:
        holds = claim["holds"]
        mark = "holds" if holds else "does not hold"
        console.print(mark, style="green" if holds else "red", end=": ")
        console.print(f"{claim['claim']} ({claim['figures']})", soft_wrap=True)


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)
