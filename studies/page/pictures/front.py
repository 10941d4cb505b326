"""The front of deadline against kept model, with its interval over draws."""

import numpy as np

from studies.page.front import Front
from studies.page.pictures.svg import Frame, picture
from studies.views.whatif.units import shown

HEIGHT = 220.0


def front_picture(found: Front, deadline_s: float, width: float) -> str:
    """Draw mean and standard error of the kept model over the deadline.

    Args:
        found: The what-if analyses.
        deadline_s: Deadline of the state in s, marked by a line.
        width: Width of the picture in px.

    Returns:
        SVG; a ring marks a point of the Pareto front, on which no client is late.
    """
    axis, result = found.axes[0], found.result
    deadlines = shown(axis.name, axis.values).tolist()
    marked = 1e3 * deadline_s
    across = (min(deadlines[0], marked), max(deadlines[-1], marked))
    frame = Frame(34.0, 34.0, width - 46.0, HEIGHT, across, (0.0, 104.0))
    body = frame.axes("deadline (ms)", "kept model (%)")
    for method, name in enumerate(found.methods):
        look = f"m{method}"
        kept, error = (100.0 * values for values in found.kept(method))
        late = found.column(result.mean("late"), method)
        body += frame.band(deadlines, (kept - error).tolist(), (kept + error).tolist(), look)
        body += frame.line(deadlines, kept.tolist(), look)
        for index in np.flatnonzero(found.column(result.front(), method)):
            said = (
                f"{name}, deadline {deadlines[index]:g} ms: {kept[index]:.1f} \N{PLUS-MINUS SIGN} "
                f"{error[index]:.1f} % kept, {late[index]:.1f} clients late"
            )
            body += frame.dot(deadlines[index], float(kept[index]), f"{look} front", said)
    body += frame.upright(marked, "deadline", f"{marked:g} ms")
    return picture(width, frame.bottom + 40.0, "kept model over the deadline", body)
