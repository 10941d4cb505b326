"""One round as a timeline: phases and losses of each client, and the deadline."""

from studies.page.answer import Cell, PageAnswer
from studies.page.pictures.allocation import MOST_CLIENTS
from studies.page.pictures.svg import Frame, bar, element, picture, text, ticks
from studies.views.simulation.timeline import WAIT, Bar
from wirelessfl.values import ON_TIME

WIDEST = 2.4  # width in deadlines
HATCH = (
    '<defs><pattern id="late" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern>'
    "</defs>"
)


def timeline_picture(answer: PageAnswer, width: float) -> str:
    """Draw the round of each method, one above the other on the same axis of time.

    Args:
        answer: The first round.
        width: Width of the picture in px.

    Returns:
        SVG.
    """
    clients = answer.clients[:MOST_CLIENTS].tolist()
    row = {client: place for place, client in enumerate(clients)}
    ends = [bar.end_s for cell in answer.cells.values() for bar in cell.timeline.bars]
    limit_s = min(max([answer.deadline_s, *ends]), WIDEST * answer.deadline_s)
    height = max(9.0, min(22.0, 440.0 / len(clients)))
    body, top = HATCH, 34.0
    for name, cell in answer.cells.items():
        frame = Frame(
            34.0,
            top,
            width - 44.0,
            height * len(clients),
            (0.0, 1.02e3 * limit_s),
            (float(len(clients)), 0.0),
        )
        body += _round(answer, name, cell, frame, row)
        top = frame.bottom + 62.0
    return picture(width, top - 20.0, "the round as a timeline with its deadline", body)


def _round(answer: PageAnswer, name: str, cell: Cell, frame: Frame, row: dict[int, int]) -> str:
    parts = []
    for one in ticks(*frame.x, frame.width):
        place = frame.px(one)
        parts.append(
            element("line", "grid", x1=place, x2=place, y1=frame.top, y2=frame.bottom)
            + text(place, frame.bottom + 16, f"{one:g}", "tick", anchor="middle")
        )
    step = max(1, int(11.0 * len(row) / frame.height) + (11.0 * len(row) > frame.height))
    for client, place in row.items():
        if place % step == 0:
            parts.append(
                text(frame.left - 8, frame.py(place + 0.5) + 4, str(client), "tick", anchor="end")
            )
    for phase in cell.timeline.bars:
        if phase.client in row:
            parts.append(_bar(phase, frame, row[phase.client], answer.deadline_s))
    for mark in cell.timeline.marks:
        x_ms = 1e3 * mark.time_s
        if mark.client in row and x_ms <= frame.x[1]:
            said = f"client {mark.client}: {mark.event} at {x_ms:.3f} ms"
            parts.append(frame.dot(x_ms, row[mark.client] + 0.5, "mark", said))
    deadline_ms = 1e3 * answer.deadline_s
    round_ms = 1e3 * cell.timing.round_s
    note = f"deadline {deadline_ms:g} ms"
    parts.append(frame.upright(deadline_ms, "deadline", note))
    if abs(round_ms - deadline_ms) > (ON_TIME - 1.0) * deadline_ms:
        parts.append(frame.upright(round_ms, "end"))
    title = "client" if len(answer.cells) == 1 else f"client ({name})"
    parts.append(text(0, frame.top - 10, title, "label"))
    parts.append(
        text(
            frame.right, frame.bottom + 32, "time since the round began (ms)", "label", anchor="end"
        )
    )
    return "".join(parts)


def _bar(phase: Bar, frame: Frame, place: int, deadline_s: float) -> str:
    start_ms, end_ms = 1e3 * phase.start_s, min(1e3 * phase.end_s, frame.x[1])
    if start_ms >= end_ms:
        return ""
    top = frame.py(place + 0.12)
    height = frame.py(place + 0.88) - top
    said = (
        f"client {phase.client}: {phase.phase}, {1e3 * phase.start_s:.3f} to "
        f"{1e3 * phase.end_s:.3f} ms"
    )
    look = f"phase {phase.phase.replace(' ', '-')}"
    left = frame.px(start_ms)
    drawn = bar(left, top, frame.px(end_ms) - left, height, look, said)
    late_ms = max(start_ms, 1e3 * deadline_s * ON_TIME)
    if phase.phase != WAIT and end_ms > late_ms:
        left = frame.px(late_ms)
        drawn += bar(left, top, frame.px(end_ms) - left, height, "late", said)
    return drawn
