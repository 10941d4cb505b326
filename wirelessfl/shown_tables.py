"""Tables as HTML and as text, for notebooks and for `repr`."""

from collections.abc import Iterable, Sequence
from html import escape


def html_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in HTML.

    Args:
        headings: One per column.
        rows: Cells of each row.

    Returns:
        The element `table`, with all text escaped.
    """
    head = "".join(f"<th>{escape(text)}</th>" for text in headings)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def text_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as text, in columns of equal width.

    Args:
        headings: One per column.
        rows: Cells of each row.

    Returns:
        One line per row below the headings.
    """
    table = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )
