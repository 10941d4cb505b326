"""Figures that a notebook shows as pictures without pyplot."""

import io

from matplotlib.figure import Figure

DPI = 100


class ShownFigure(Figure):
    """A matplotlib figure with its picture, which notebooks ask for."""

    def _repr_png_(self) -> bytes:
        """The picture in the format PNG."""
        picture = io.BytesIO()
        self.savefig(picture, format="png", dpi=DPI)
        return picture.getvalue()
