"""One round's trace as bars and marks of each client, for a Gantt chart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wirelessfl.values import RoundTiming

# The event that ends a phase, in the order of the phases.
ENDS = {
    "downloaded": "download",
    "late update arrived": "late update",
    "fixed work done": "fixed work",
    "prunable work done": "prunable work",
    "uploaded": "upload",
}
PHASES = tuple(ENDS.values())
INTERRUPTED = "interrupted"
WAIT = "wait"
LOSSES = ("dropped out", "gave up")
BLOCK_LOST = "block lost"
CARRIED_OVER = "carried over"  # no event of the cell: what the round's end leaves open


@dataclass(frozen=True)
class Bar:
    """A phase of a client, including interruptions and waiting.

    Attributes:
        client: The client.
        phase: One of `PHASES`, `INTERRUPTED` or `WAIT`.
        start_s: Start, in seconds since the round began.
        end_s: End, in seconds since the round began.
    """

    client: int
    phase: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Mark:
    """An event of a client: a lost block, the loss of the client, or an update carried over.

    Attributes:
        client: The client.
        event: The event.
        time_s: Seconds since the round began.
    """

    client: int
    event: str
    time_s: float


@dataclass(frozen=True)
class Timeline:
    """The bars and marks of all clients.

    Attributes:
        bars: Bars back to back from second 0, by client.
        marks: Marks in order of time, by client.
    """

    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...]

    @classmethod
    def of(cls, timing: RoundTiming, pending: NDArray[np.bool_] | None = None) -> "Timeline":
        """The timeline of a round.

        Args:
            timing: Times and trace of the round.
            pending: True for clients whose late update was in transit when the round began, (K,).

        Returns:
            The bars and marks.
        """
        bars: list[Bar] = []
        marks: list[Mark] = []
        for client in range(len(timing.finish_s)):
            events = [(time_s, event) for time_s, who, event in timing.trace if who == client]
            left_out = set() if pending is not None and pending[client] else {"late update"}
            left_out |= set() if timing.download_s[client] > 0 else {"download"}
            bars += _bars(
                client, events, [phase for phase in PHASES if phase not in left_out], timing.round_s
            )
            marks += [
                Mark(client, event, time_s)
                for time_s, event in events
                if event in (BLOCK_LOST, *LOSSES)
            ]
            if timing.backlog.pending[client]:
                marks.append(Mark(client, CARRIED_OVER, timing.round_s))
        return cls(tuple(bar for bar in bars if bar.end_s > bar.start_s), tuple(marks))


def _bars(
    client: int, events: Sequence[tuple[float, str]], ahead: list[str], round_s: float
) -> Iterable[Bar]:
    """The phases `ahead`, each until its event; the open phase lasts until the end of the round."""
    since_s = 0.0
    before = ""
    for time_s, event in events:
        if event == BLOCK_LOST:
            continue
        phase = ENDS.get(event) or (ahead[0] if ahead else PHASES[-1])
        yield Bar(client, INTERRUPTED if before == "interrupted" else phase, since_s, time_s)
        if event in LOSSES:
            return
        if event in ENDS:
            ahead = ahead[ahead.index(phase) + 1 :] if phase in ahead else ahead
        since_s = time_s
        before = event
    if not ahead:
        yield Bar(client, WAIT, since_s, round_s)
    elif since_s < round_s:
        yield Bar(client, INTERRUPTED if before == "interrupted" else ahead[0], since_s, round_s)
