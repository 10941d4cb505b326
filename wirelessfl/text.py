"""Text for people: numbers in full, foreign text in one printable line, tables."""

import re
from collections.abc import Iterable, Sequence
from html import escape

MOST_WORD = 300  # characters of a word, such as a path or a value, that a line shows in full
MOST_LINE = 3000  # characters of a line
_UNSAFE = re.compile(  # control characters, line separators, direction marks, lone surrogates
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_LONG_WORD = re.compile(rf"\S{{{MOST_WORD + 1},}}")


def in_full(value: float) -> str:
    """Shortest text of a number that no other number has.

    Args:
        value: The number.

    Returns:
        Six digits where they are exact, all digits elsewhere.

    Example:
        >>> in_full(1e6), in_full(1.0000000001)
        ('1e+06', '1.0000000001')
    """
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def printable(text: str) -> str:
    """Text without characters that control a terminal; they appear as escape sequences.

    Args:
        text: Any text, such as a key of a file or the name of a folder.

    Returns:
        The text in one line.
    """
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def printable_lines(text: str) -> str:
    """`printable` for each line of a text.

    Args:
        text: Text of one or more lines.

    Returns:
        The text with its line breaks.
    """
    return "\n".join(printable(line) for line in text.split("\n"))


def one_line(text: str) -> str:
    """Message in one printable line of limited length, in which long values are shortened.

    Args:
        text: The message.

    Returns:
        The line.
    """
    words = _LONG_WORD.sub(lambda found: _shortened(found.group(), MOST_WORD), text)
    return printable(_shortened(words, MOST_LINE))


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    end = most // 4
    return f"{text[: most - end]}...({len(text)} characters)...{text[-end:]}"


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
