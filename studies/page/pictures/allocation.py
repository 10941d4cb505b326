"""Band and pruning ratio of each client, one bar for each method."""

import numpy as np

from studies.page.answer import PageAnswer
from studies.page.pictures.svg import Frame, bar, picture, text

MOST_CLIENTS = 60  # of which each has a bar
PANEL = 130.0
UNSERVED = {"infeasible", "left out"}


def allocation_picture(answer: PageAnswer, width: float) -> str:
    """Draw the allocation.

    Args:
        answer: The first round.
        width: Width of the picture in px.

    Returns:
        SVG.
    """
    clients = answer.clients[:MOST_CLIENTS]
    band = {
        name: 100 * scheme.planned.allocation.bandwidth_fraction[: clients.size]
        for name, scheme in answer.schemes.items()
    }
    ratio = {
        name: 100 * scheme.planned.allocation.pruning_ratio[: clients.size]
        for name, scheme in answer.schemes.items()
    }
    highest = max(float(values.max()) for values in band.values())
    upper = _frame(width, 30.0, clients.size, max(1.08 * highest, 0.1))
    lower = _frame(width, 30.0 + PANEL + 60.0, clients.size, 104.0)
    every = [place for place in range(clients.size) if place % _step(width, clients.size) == 0]
    body = _bars(answer, upper, band, clients, "share of the band (%)")
    body += _bars(answer, lower, ratio, clients, "pruned (%)")
    for frame in (upper, lower):
        body += "".join(
            text(
                frame.px(place + 0.5),
                frame.bottom + 16,
                str(clients[place]),
                "tick",
                anchor="middle",
            )
            for place in every
        )
    return picture(width, lower.bottom + 40, "share of the band and pruning of each client", body)


def _frame(width: float, top: float, clients: int, highest: float) -> Frame:
    return Frame(34.0, top, width - 40.0, PANEL, (0.0, float(clients)), (0.0, highest))


def _step(width: float, clients: int) -> int:
    """Clients from one label to the next, which would touch otherwise."""
    return int(np.ceil(20.0 * clients / (width - 40.0)))


def _bars(
    answer: PageAnswer,
    frame: Frame,
    values: dict[str, np.ndarray],
    clients: np.ndarray,
    label: str,
) -> str:
    parts = [frame.axes("client", label, x_ticks=())]
    each = 0.76 * frame.width / clients.size / len(values)
    for method, (name, heights) in enumerate(values.items()):
        status = answer.schemes[name].planned.allocation.status
        for place, height in enumerate(heights):
            left = frame.px(place + 0.12) + each * method
            top = frame.py(float(height))
            said = f"client {clients[place]}, {name}: {height:.2f} %, {status[place]}"
            parts.append(bar(left, top, each, frame.bottom - top, f"m{method}", said))
            if status[place] in UNSERVED:
                cross = text(
                    left + each / 2,
                    frame.bottom - 4,
                    "\N{MULTIPLICATION X}",
                    "cross",
                    anchor="middle",
                )
                parts.append(cross)
    cap = 100 * answer.first.experiment.max_pruning_ratio
    if label.startswith("pruned") and cap < 100:
        level = frame.py(cap)
        parts.append(
            f'<line class="cap" x1="{frame.left:.1f}" x2="{frame.right:.1f}" '
            f'y1="{level:.1f}" y2="{level:.1f}"><title>largest ratio allowed: {cap:g} %</title>'
            "</line>"
        )
    return "".join(parts)
