"""Figures that a notebook shows as pictures without pyplot."""

import io
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

DPI = 100
# Labels of horizontal axes that hold whole numbers.
WHOLE = (
    "agent",
    "client",
    "clients",
    "filters pruned",
    "iteration",
    "local steps of the round",
    "participant",
    "round",
    "update",
)


class ShownFigure(Figure):
    """A matplotlib figure with its picture, which notebooks ask for.

    Axes of whole numbers, by their label, have ticks at whole numbers.
    """

    def draw(self, renderer: Any) -> None:
        """Draw the figure.

        Args:
            renderer: Renderer of matplotlib.
        """
        for axes in self.axes:
            locator = axes.xaxis.get_major_locator()
            if axes.get_xlabel() in WHOLE and isinstance(locator, MaxNLocator):
                locator.set_params(integer=True)
        super().draw(renderer)

    def _repr_png_(self) -> bytes:
        """The picture in the format PNG."""
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=DPI)
        return picture.getvalue()
