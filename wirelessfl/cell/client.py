"""Client within a round as a SimPy process: download, computation, upload, possible dropout."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import simpy

from wirelessfl.cell.band import Band

SERVER = -1  # client number of the server's own lines in a trace
Line = tuple[float, int, str]  # line of a trace: time_s, client, event
PHASES = ("download", "compute", "upload", "rest")
# Arguments: CPU seconds, note=callback for an interrupted CPU.
Work = Callable[..., Generator[Any, Any, None]]


@dataclass(eq=False)
class Update:
    """Progress of one update within a round: CPU seconds first, then bits.

    Attributes:
        stages: CPU seconds of each stage of work, with the event at its end (None: no event).
        upload_bits: Size of the upload in bits.
        arrival: Event at the arrival of its bits.
        arrived_s: Moment of the arrival in s; inf before.
        in_transit: True while its bits are being transmitted.
        open_s: CPU seconds still to do.
    """

    stages: tuple[tuple[float, str | None], ...]
    upload_bits: float
    arrival: str
    arrived_s: float = np.inf
    in_transit: bool = False
    open_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.open_s = self.cpu_s

    @property
    def arrived(self) -> bool:
        """True when all bits of the update have arrived."""
        return self.arrived_s < np.inf

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all stages."""
        return sum(seconds for seconds, _ in self.stages)


class Client:
    """One client in one round.

    `live` is its SimPy process, the attributes are its progress.

    Args:
        env: SimPy environment of the round.
        number: Number of the client.
        download_s: Seconds of the download.
        updates: Updates in the order of their processing, that of this round last.
        band: Band of the uplink.
        work: Process that does CPU seconds on the client's processor.
        note: Function that records an event of a client in the trace.

    Attributes:
        updates: As given.
        finish_s: Moment at which the client finished, in s; inf before.
        lost: True when the client dropped out or gave up.
        spent_s: Seconds in each of the `PHASES`, counted up to the last `settle`.
    """

    def __init__(
        self,
        env: simpy.Environment,
        number: int,
        download_s: float,
        updates: tuple[Update, ...],
        band: Band,
        work: Work,
        note: Callable[[int, str], None],
    ) -> None:
        self._env = env
        self._number = number
        self._band = band
        self._work = work
        self._note = partial(note, number)
        self._download_s = download_s
        self.updates = updates
        self.finish_s = np.inf
        self.lost = False
        self.spent_s = dict.fromkeys(PHASES, 0.0)
        self._phase = "rest"
        self._phase_since_s = 0.0
        self._on_cpu: Update | None = None
        self._on_cpu_since_s = 0.0

    @property
    def cpu_s(self) -> float:
        """CPU seconds done; valid after `settle`."""
        return sum(update.cpu_s - update.open_s for update in self.updates)

    def live(self) -> Generator[Any, Any, None]:
        """Process of the client; it ends when the client has finished, given up or dropped out."""
        try:
            if self._download_s > 0:
                self._enter("download")
                yield self._env.timeout(self._download_s)
                self._note("downloaded")
            for update in self.updates:
                yield from self._compute(update)
                yield from self._upload(update)
                if self.lost:
                    return
            self._enter("rest")
            self.finish_s = float(self._env.now)
        except simpy.Interrupt:
            self._band.leave(self._number)
            self._vanish("dropped out")

    def settle(self) -> None:
        """Count the current phase and the CPU seconds up to now."""
        self._enter(self._phase)
        if self._on_cpu is not None:
            self._on_cpu.open_s = max(
                self._on_cpu.open_s - (self._env.now - self._on_cpu_since_s), 0.0
            )
            self._on_cpu_since_s = self._env.now

    def pending(self, kept: bool) -> Update | None:
        """Update that is carried over to the next round, if any.

        Only one update can be pending: that of this round where it is late, otherwise an older one
        that has not arrived.

        Args:
            kept: True where this round's update uploads anything.

        Returns:
            The update, or None.
        """
        if self.lost:
            return None
        candidates = self.updates[-1:] if kept else self.updates[:-1]
        return next((update for update in candidates if not update.arrived), None)

    def open_bits(self, update: Update) -> float:
        """Bits of an update that have not arrived; valid after the band's `settle`.

        Args:
            update: Update of this client.

        Returns:
            Bits; a packet in transit counts in full.
        """
        if update.arrived:
            return 0.0
        return self._band.open_bits(self._number) if update.in_transit else update.upload_bits

    def _compute(self, update: Update) -> Generator[Any, Any, None]:
        self._enter("compute")
        for stage, (seconds, event) in enumerate(update.stages, 1):
            self._on_cpu = update
            self._on_cpu_since_s = self._env.now
            yield from self._work(seconds, note=partial(self._give_way, update))
            self._on_cpu = None
            update.open_s = sum(later_s for later_s, _ in update.stages[stage:])
            if event is not None:
                self._note(event)

    def _give_way(self, update: Update, event: str) -> None:
        """Record that a background job took the CPU or released it."""
        self.settle()
        self._on_cpu = None if event == "interrupted" else update
        self._on_cpu_since_s = self._env.now
        self._note(event)

    def _upload(self, update: Update) -> Generator[Any, Any, None]:
        self._enter("upload")
        if update.upload_bits > 0:
            if update is not self.updates[-1] and not self._band.reaches(self._number):
                # An old update without a band stays open, and the new round's work goes on.
                return
            update.in_transit = True
            arrived = yield self._band.send(self._number, update.upload_bits)
            update.in_transit = False
            if not arrived:
                self._vanish("gave up")
                return
        update.arrived_s = float(self._env.now)
        self._note(update.arrival)

    def _vanish(self, event: str) -> None:
        self.settle()
        self._on_cpu = None
        self._enter("rest")
        self.lost = True
        self._note(event)

    def _enter(self, phase: str) -> None:
        self.spent_s[self._phase] += self._env.now - self._phase_since_s
        self._phase = phase
        self._phase_since_s = self._env.now
