"""Lines of several runs on the same axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.page.pictures.svg import Frame, element, picture
from wirelessfl.values import Array

HEIGHT = 200.0
MOST_POINTS = 600  # of a line; of more points every n-th is shown, and the last
FEW = 40  # points that are marked one by one
ROOM = 0.06  # of the vertical axis around the values
LEAST_ROOM = 0.02  # next to the largest value, so that rounding does not fill the axis


@dataclass(frozen=True, eq=False)
class Line:
    """One line.

    Attributes:
        name: Name of the run.
        x: Horizontal values; (n,).
        y: Vertical values, NaN where there is none; (n,).
        limit: Value of a dashed horizontal line; None: none.
    """

    name: str
    x: Array
    y: Array
    limit: float | None = None


def lines_picture(
    lines: Sequence[Line],
    x_label: str,
    y_label: str,
    width: float,
    limits: tuple[float | None, float | None] = (None, None),
) -> str:
    """Draw lines in the order of their colours.

    Args:
        lines: The lines.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        width: Width of the picture in px.
        limits: Ends of the vertical axis; None: from the values.

    Returns:
        SVG; empty where no line has a value.
    """
    known = [line.y[np.isfinite(line.y)] for line in lines]
    values = np.concatenate([*known, [line.limit for line in lines if line.limit is not None]])
    if not sum(part.size for part in known):
        return ""
    low, high = float(values.min()), float(values.max())
    room = max(ROOM * (high - low), LEAST_ROOM * max(abs(low), abs(high))) or 1.0
    bottom = low - room if limits[0] is None else limits[0]
    top = high + room if limits[1] is None else limits[1]
    first = min(float(line.x[0]) for line in lines if line.x.size)
    last = max(float(line.x[-1]) for line in lines if line.x.size)
    across = (first, last) if last > first else (first - 0.5, last + 0.5)
    frame = Frame(46.0, 34.0, width - 58.0, HEIGHT, across, (bottom, top))
    body = frame.axes(x_label, y_label, whole=x_label == "round")
    for number, line in enumerate(lines):
        step = math.ceil(line.x.size / MOST_POINTS) or 1
        rows = np.unique([*range(0, line.x.size, step), max(line.x.size - 1, 0)]).astype(int)
        rows = rows[: line.x.size]
        x, y = line.x[rows].tolist(), line.y[rows].tolist()
        body += frame.line(x, y, f"r{number}", line.name)
        if len(x) <= FEW:
            body += "".join(
                frame.dot(one, other, f"r{number}", f"{line.name}: {other:.5g} at {one:.5g}", 2.5)
                for one, other in zip(x, y, strict=True)
                if math.isfinite(other)
            )
        if line.limit is not None:
            place = frame.py(line.limit)
            body += element(
                "line",
                f"limit r{number}",
                f"deadline of {line.name}: {line.limit:g} ms",
                x1=frame.left,
                x2=frame.right,
                y1=place,
                y2=place,
            )
    return picture(width, frame.bottom + 40.0, y_label, body)
