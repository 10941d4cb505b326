"""Output to the terminal: foreign text becomes printable, tables never exceed the width.

The width is that of the terminal, or 80 columns in a file or pipe.
"""

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wirelessfl.text import printable_lines

WIDTH = 80  # of output that goes to no terminal, unless COLUMNS is set
EDGES = 2  # characters to the left and right of a table


class _PlainConsole(Console):
    """Console on which text is text: no markup, no emoji codes, no control characters.

    Names of files, labels of plug-ins and values of scenarios may hold any of them.
    """

    def render_str(self, text: str, *args: Any, **options: Any) -> Text:
        """Text of a string; tables, titles and prints all pass here."""
        return super().render_str(printable_lines(text), *args, **options)


def terminal(*, stderr: bool = False, quiet: bool = False) -> Console:
    """A console for tables, messages and progress bars.

    Args:
        stderr: Write to standard error.
        quiet: Write nothing.

    Returns:
        The console; styles are given as `Text` or by the argument `style`, never in the text.
    """
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else WIDTH
    return _PlainConsole(width=width, stderr=stderr, quiet=quiet, markup=False, emoji=False)


def print_text(text: str) -> None:
    """Print plain text, wrapped between words."""
    terminal().print(text, highlight=False)


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str = "",
    keys: int = 1,
    left: Collection[str] = (),
    bold: Collection[int] = (),
) -> None:
    """Print a table; columns that do not fit follow in further tables, with the key columns again.

    Args:
        headings: One heading per column.
        rows: Cells of each row as plain text.
        title: Line above the table.
        keys: Number of leading columns that name the row; words in them are aligned to the left.
        left: Headings of other columns that are aligned to the left.
        bold: Indices of rows to emphasise.
    """
    console = terminal()
    if title:
        console.print(title, style="italic", highlight=False)
    rows = [[printable_lines(cell) for cell in row] for row in rows]
    cells = [max((cell_len(row[at]) for row in rows), default=0) for at in range(len(headings))]
    wide = [max(cell_len(head), width) for head, width in zip(headings, cells, strict=True)]
    narrow = [max(_word(head), width) for head, width in zip(headings, cells, strict=True)]
    word = max((_word(row[at]) for row in rows for at in range(keys)), default=0)
    share = console.width // keys  # a key column has two fifths of it, or half for a long word
    most = max(2 * share // 5, min(word, share // 2), 1)
    for widths in (wide, narrow):
        widths[:keys] = [min(width, most) for width in widths[:keys]]
    fits = {gap: _total(wide, gap) <= console.width for gap in (2, 1)}
    gap = 2 if fits[2] else 1
    widths = wide if fits[1] else narrow
    for part in _parts(widths, keys, gap, console.width):
        table = Table(box=SIMPLE_HEAD, padding=(0, gap - 1, 0, 0))
        for at in part:
            text = headings[at] in left or (at < keys and not _numbers(row[at] for row in rows))
            table.add_column(
                headings[at],
                width=min(widths[at], console.width - EDGES),
                justify="left" if text else "right",
                overflow="fold",
            )
        for number, row in enumerate(rows):
            style = "bold" if number in bold else None
            table.add_row(*(row[at] for at in part), style=style)
        console.print(table, highlight=False)


def print_names(heading: str, descriptions: Mapping[str, str]) -> None:
    """Print names with descriptions, which are wrapped.

    Args:
        heading: Line above them.
        descriptions: Name -> description.
    """
    console = terminal()
    console.print(heading, style="bold", highlight=False)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, width=max(map(cell_len, descriptions), default=0))
    table.add_column()
    for name, text in descriptions.items():
        table.add_row(name, text)
    console.print(Padding(table, (0, 0, 1, 2)), highlight=False)


def _numbers(cells: Iterable[str]) -> bool:
    return all(cell.lstrip("-+").replace(".", "", 1).isdigit() for cell in cells)


def _word(text: str) -> int:
    """Length of the longest word."""
    return max((cell_len(word) for word in text.split()), default=0)


def _total(widths: Sequence[int], gap: int) -> int:
    """Width of a table whose columns are followed by `gap` blanks, the last one by one less."""
    return EDGES + sum(widths) + gap * len(widths) - 1


def _parts(widths: Sequence[int], keys: int, gap: int, room: int) -> Iterator[list[int]]:
    """Columns of each table: the key columns and as many others as fit."""
    part = list(range(keys))
    for at in range(keys, len(widths)):
        if len(part) > keys and _total([widths[one] for one in (*part, at)], gap) > room:
            yield part
            part = list(range(keys))
        part.append(at)
    yield part
