"""SVG elements as text: a frame with axes, lines, bands, bars and marks.

Elements carry classes only, so that the style sheet alone decides colours, light and dark.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

GAP = 8.0  # between the frame and its labels in px
LETTER = 6.6  # mean width of a letter of 12 px
TICK_PX = 60.0  # of a horizontal axis for each tick
TICK_UP_PX = 38.0  # of a vertical axis


@dataclass(frozen=True)
class Frame:
    """The area of a plot and the ranges of its axes.

    Attributes:
        left: Left edge in px.
        top: Upper edge in px.
        width: Width in px.
        height: Height in px.
        x: Smallest and largest value from left to right.
        y: Smallest and largest value from the bottom to the top.
    """

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    @property
    def right(self) -> float:
        """Right edge in px."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Lower edge in px."""
        return self.top + self.height

    def px(self, value: float) -> float:
        """Place of a value on the horizontal axis in px."""
        low, high = self.x
        return self.left + self.width * (value - low) / (high - low)

    def py(self, value: float) -> float:
        """Place of a value on the vertical axis in px."""
        low, high = self.y
        return self.bottom - self.height * (value - low) / (high - low)

    def contains(self, x: float, y: float) -> bool:
        """True if a finite point lies within the axes."""
        return self.x[0] <= x <= self.x[1] and self.y[0] <= y <= self.y[1]

    def axes(
        self,
        x_label: str,
        y_label: str,
        *,
        x_ticks: Sequence[float] | None = None,
        whole: bool = False,
    ) -> str:
        """Grid, ticks and labels.

        Args:
            x_label: Label of the horizontal axis.
            y_label: Label of the vertical axis, written above it.
            x_ticks: Ticks of the horizontal axis; None: round numbers.
            whole: Whether the ticks of the horizontal axis are whole numbers.
        """
        across = ticks(*self.x, self.width, whole=whole) if x_ticks is None else x_ticks
        up = ticks(*self.y, self.height * TICK_PX / TICK_UP_PX)
        parts = [
            element("line", "grid", x1=self.left, x2=self.right, y1=self.py(one), y2=self.py(one))
            for one in up
        ]
        parts += [
            text(self.left - GAP, self.py(one) + 4, number(one), "tick", anchor="end") for one in up
        ]
        parts += [
            text(self.px(one), self.bottom + 16, number(one), "tick", anchor="middle")
            for one in across
        ]
        parts += [
            element("line", "axis", x1=self.left, x2=self.right, y1=self.bottom, y2=self.bottom),
            text(0, self.top - 10, y_label, "label"),
            text(self.right, self.bottom + 32, x_label, "label", anchor="end"),
        ]
        return "".join(parts)

    def line(self, x: Iterable[float], y: Iterable[float], look: str, title: str = "") -> str:
        """A line through points, interrupted where a value is not finite."""
        pieces: list[list[str]] = [[]]
        alone: list[tuple[float, float]] = []
        for one, other in zip(x, y, strict=True):
            if isfinite(one) and isfinite(other):
                pieces[-1].append(f"{self.px(one):.1f},{self.py(other):.1f}")
                alone.append((one, other))
            elif pieces[-1]:
                pieces.append([])
        found = [
            element("polyline", f"line {look}", title, points=" ".join(piece))
            for piece in pieces
            if len(piece) > 1
        ]
        if not found:  # no line can be seen: the points themselves
            found = [self.dot(one, other, look, title) for one, other in alone]
        return "".join(found)

    def band(
        self, x: Sequence[float], low: Sequence[float], high: Sequence[float], look: str
    ) -> str:
        """The area between two lines, of points at which both are finite."""
        known = [
            (one, lower, upper)
            for one, lower, upper in zip(x, low, high, strict=True)
            if isfinite(lower) and isfinite(upper)
        ]
        if len(known) < 2:
            return ""
        there = [f"{self.px(one):.1f},{self.py(upper):.1f}" for one, _, upper in known]
        back = [f"{self.px(one):.1f},{self.py(lower):.1f}" for one, lower, _ in reversed(known)]
        return element("polygon", f"band {look}", points=" ".join(there + back))

    def dot(self, x: float, y: float, look: str, title: str = "", radius: float = 3.0) -> str:
        """A disc at a point."""
        return element("circle", f"dot {look}", title, cx=self.px(x), cy=self.py(y), r=radius)

    def upright(self, x: float, look: str, note: str = "") -> str:
        """A vertical line at a value, with a note beside its upper end."""
        if not self.x[0] <= x <= self.x[1]:
            return ""
        place = self.px(x)
        crowded = place + LETTER * len(note) > self.right
        drawn = element("line", look, x1=place, x2=place, y1=self.top - 6, y2=self.bottom)
        anchor = "end" if crowded else "start"
        return drawn + text(
            place + (-4 if crowded else 4), self.top - 10, note, "note", anchor=anchor
        )


def picture(width: float, height: float, name: str, body: str) -> str:
    """A whole picture.

    Args:
        width: Width in px.
        height: Height in px.
        name: Name of the picture for screen readers.
        body: Its elements.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(name)}">'
        f"{body}</svg>"
    )


def element(kind: str, look: str, title: str = "", **attributes: float | str) -> str:
    """An element with the classes `look`, and a title that is shown when the pointer rests on it.

    Args:
        kind: Name of the element.
        look: Its classes.
        title: Its title; empty: none.
        attributes: Its attributes; numbers are lengths in px.
    """
    given = "".join(
        f' {name}="{escape(value) if isinstance(value, str) else f"{value:.1f}"}"'
        for name, value in attributes.items()
    )
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f'<{kind} class="{look}"{given}>{inside}</{kind}>'


def text(x: float, y: float, words: str, look: str, *, anchor: str = "start") -> str:
    """Text whose start, middle or end is at a place."""
    if not words:
        return ""
    return (
        f'<text class="{look}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def bar(left: float, top: float, width: float, height: float, look: str, title: str = "") -> str:
    """A rectangle in px."""
    return element("rect", look, title, x=left, y=top, width=max(width, 0.0), height=height)


def ticks(low: float, high: float, length: float, *, whole: bool = False) -> list[float]:
    """Round numbers on an axis.

    Args:
        low: Smallest value.
        high: Largest value.
        length: Length of the axis in px.
        whole: Whether they must be whole numbers.

    Returns:
        The numbers within the axis.
    """
    about = (high - low) / max(length / TICK_PX, 2.0)
    power = 10.0 ** floor(log10(about))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= about * 0.999)
    step = max(1.0, round(step)) if whole else step
    first = ceil(low / step - 1e-9)
    last = floor(high / step + 1e-9)
    return [float(f"{step * count:.10g}") for count in range(first, last + 1)]


def number(value: float) -> str:
    """A number on an axis."""
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")
