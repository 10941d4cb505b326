"""The drop: positions of the clients, or their distances where the channel has no positions."""

import numpy as np

from studies.page.answer import PageAnswer
from studies.page.pictures.allocation import MOST_CLIENTS
from studies.page.pictures.svg import Frame, element, picture, text
from wirelessfl.values import Array

ROOM = 1.1  # of an axis next to its largest value
HEIGHT = 220.0
APART = 14.0  # between the numbers of two clients in px


def drop_picture(answer: PageAnswer, width: float) -> str:
    """Draw where the clients are, in the colour of their status.

    Args:
        answer: The first round.
        width: Width of the picture in px.

    Returns:
        SVG: a map in metres; without positions the signal-to-noise ratio over the distance;
        without distances over the number of the client.
    """
    positions_m = answer.channel.position_m
    if positions_m is None:
        return _over_distance(answer, width)
    return _map(answer, positions_m, width)


def _map(answer: PageAnswer, positions_m: Array, width: float) -> str:
    side = min(width - 46.0, 340.0)
    reach_m = ROOM * float(np.abs(positions_m).max())
    limits = (-reach_m, reach_m)
    frame = Frame(40.0, 34.0, side, side, limits, limits)
    body = frame.axes("east (m)", "north (m)")
    body += element("path", "station", "base station", d=_triangle(frame.px(0), frame.py(0)))
    here_m = positions_m[answer.clients]
    body += _clients(answer, frame, here_m[:, 0], here_m[:, 1])
    return picture(width, frame.bottom + 40.0, "map of the clients", body)


def _over_distance(answer: PageAnswer, width: float) -> str:
    channel = answer.channel
    across = channel.distance_m
    snr_db = channel.snr_db[answer.clients]
    linked = snr_db[np.isfinite(snr_db) & (np.abs(snr_db) < 1e3)]
    low, high = (float(linked.min()), float(linked.max())) if linked.size else (0.0, 1.0)
    room = max(1.0, 0.15 * (high - low))
    places = answer.clients.astype(float) if across is None else across[answer.clients]
    limits = (0.0, max(1.0, ROOM * float(places.max())))
    frame = Frame(34.0, 34.0, width - 46.0, HEIGHT, limits, (low - room, high + room))
    label = "client" if across is None else "distance (m)"
    body = frame.axes(label, "mean SNR over the whole band (dB)", whole=across is None)
    body += _clients(answer, frame, places, snr_db)
    return picture(width, frame.bottom + 40.0, "signal-to-noise ratio of the clients", body)


def _clients(answer: PageAnswer, frame: Frame, x: Array, y: Array) -> str:
    """The clients, with their numbers where these do not touch."""
    allocation = answer.first.planned.allocation
    status = allocation.status.tolist()
    parts = []
    named: list[tuple[float, float]] = []
    for place, client in enumerate(answer.clients[:MOST_CLIENTS]):
        across, up = float(x[place]), float(y[place])
        if not frame.contains(across, up):
            continue
        said = (
            f"client {client}: {status[place]}, pruned {100 * allocation.pruning_ratio[place]:.1f} "
            f"%, mean SNR {answer.channel.snr_db[client]:.1f} dB"
        )
        look = f"status {status[place].replace(' ', '-')}"
        parts.append(frame.dot(across, up, look, said, radius=6.0))
        here = (frame.px(across) + 9, frame.py(up) + 4)
        if all(abs(here[0] - left) > APART or abs(here[1] - top) > APART for left, top in named):
            named.append(here)
            parts.append(text(*here, str(client), "tick"))
    return "".join(parts)


def _triangle(x: float, y: float) -> str:
    return f"M{x - 7:.1f},{y + 6:.1f} L{x + 7:.1f},{y + 6:.1f} L{x:.1f},{y - 8:.1f} Z"
