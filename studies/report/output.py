"""Tables and figures that a command writes to the files its options name.

Paths are checked before the work starts; a file is written as a whole or not at all.
"""

import csv
import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wirelessfl.errors import InputError
from wirelessfl.records.run_folder import write_atomically
from wirelessfl.text import printable_lines

PICTURES = (".png", ".pdf", ".svg")


def check_output(option: str, path: Path | None, suffixes: Sequence[str] = ()) -> None:
    """Check that the file of an option can be written.

    Args:
        option: The option's name, for the message.
        path: The file, or None when the option was not given.
        suffixes: The accepted suffixes; empty accepts any.

    Raises:
        InputError: The file cannot be written, or its suffix is not among `suffixes`.
    """
    if path is None:
        return
    if suffixes and path.suffix.lower() not in suffixes:
        raise InputError(f"{option} must end in {', '.join(suffixes)}, got {str(path)!r}")
    if path.is_dir() or not path.parent.is_dir():
        reason = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise InputError(f"{option} {path} cannot be written: {reason}")
    try:
        path.open("ab").close() if path.exists() else _try(path)
    except OSError as error:
        raise InputError(f"{option} {path} cannot be written: {error.strerror}") from None


def _try(path: Path) -> None:
    path.touch(exist_ok=False)
    path.unlink()


def write_columns(path: Path, columns: Mapping[str, Any]) -> None:
    """Write columns of equal length as a CSV file; NaN is an empty cell."""
    write_atomically(path, columns_text(columns).encode())


def columns_text(columns: Mapping[str, Any]) -> str:
    """Columns of equal length as the text of a CSV file; NaN is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*columns.values(), strict=True):
        writer.writerow(_cell(item) for item in row)
    return text.getvalue()


def _cell(item: Any) -> Any:
    if isinstance(item, float):
        return "" if item != item else f"{item:.10g}"
    return item.item() if hasattr(item, "item") else item


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib figure of `width` by `height` inches that needs no display.

    A notebook shows it as a picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from studies.report.shown_figure import ShownFigure

    figure = ShownFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def render(figure: Any, **options: Any) -> bytes:
    """Draw a figure whose names and labels are plain text, in which `$` starts no mathematics.

    Args:
        figure: A matplotlib figure.
        options: Arguments of `savefig`, the format among them.

    Returns:
        Content of the picture's file.
    """
    from matplotlib.text import Text

    powers = set()  # labels of a logarithmic axis are mathematics of matplotlib's
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            labels = axis.get_ticklabels(which="both")
            if axis.get_scale() != "linear":
                powers |= {id(label) for label in labels}
    for text in figure.findobj(Text):
        if id(text) not in powers:
            text.set_parse_math(False)
            text.set_text(printable_lines(text.get_text()))
    picture = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a box stands for a sign without one
        figure.savefig(picture, **options)
    return picture.getvalue()


def write_figure(path: Path, figure: Any) -> None:
    """Write the figure as PNG, PDF or SVG, according to the file's suffix, without a date."""
    suffix = path.suffix[1:].lower()
    dates = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}  # the same bytes every time
    picture = render(figure, format=suffix, dpi=200, metadata=dates.get(suffix))
    write_atomically(path, picture)
