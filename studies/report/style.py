"""Style of figures: the look of the project or a style of matplotlib."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from studies.report.curves import COLOURS
from wirelessfl.config.fields import hint_at
from wirelessfl.errors import InputError


@contextmanager
def figure_style(style: str | None) -> Iterator[Sequence[str]]:
    """Draw and write figures in a style of matplotlib, with fonts that journals accept.

    Args:
        style: Name or file of the style; None for the look of the project.

    Yields:
        The colours of lines.

    Raises:
        InputError: There is no such style.
    """
    import matplotlib
    import matplotlib.style

    if style is not None and style not in matplotlib.style.library and not Path(style).is_file():
        known = sorted(name for name in matplotlib.style.library if not name.startswith("_"))
        raise InputError(f"--style {style!r} is neither a file nor a style{hint_at(style, known)}")
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "wirelessfl"}):
        if style is None:
            yield COLOURS
            return
        matplotlib.style.use(style)
        cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()
        yield cycle.get("color", COLOURS)
