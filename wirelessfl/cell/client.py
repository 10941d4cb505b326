"""A client within a round, as a SimPy process: it downloads, works, uploads, and may vanish
meanwhile.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import simpy

from wirelessfl.cell.band import Band

SERVER = -1  # the client number of the server's own lines in a trace
Line = tuple[float, int, str]  # of a trace: time_s, client, event
PHASES = ("download", "compute", "upload", "rest")
Work = Callable[
    ..., Generator[Any, Any, None]
]  # (CPU seconds, note=callback for an interrupted CPU)


@dataclass(eq=False)
class Update:
    """One update in transit to the server: CPU seconds, then bits, counted down in the round."""

    stages: tuple[tuple[float, str | None], ...]  # CPU seconds and the event at their end
    upload_bits: float
    arrival: str  # the event when its bits are through
    arrived_s: float = np.inf  # when its bits were through
    on_air: bool = False
    open_s: float = field(init=False)  # CPU seconds still to do

    def __post_init__(self) -> None:
        self.open_s = self.cpu_s

    @property
    def arrived(self) -> bool:
        """True if all its bits have arrived."""
        return self.arrived_s < np.inf

    @property
    def cpu_s(self) -> float:
        """CPU seconds in all."""
        return sum(seconds for seconds, _ in self.stages)


class Client:
    """One client in one round. `live` is its process; the rest says how far it is."""

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
        self._env, self._number, self._band, self._work = env, number, band, work
        self._note = partial(note, number)
        self._download_s = download_s
        self.updates = updates  # in the order in which they are done, this round's last
        self.finish_s = np.inf
        self.lost = False
        self.spent_s = dict.fromkeys(PHASES, 0.0)
        self._phase, self._phase_since_s = "rest", 0.0
        self._on_cpu: Update | None = None
        self._on_cpu_since_s = 0.0

    @property
    def cpu_s(self) -> float:
        """CPU seconds done; after `settle`."""
        return sum(update.cpu_s - update.open_s for update in self.updates)

    def live(self) -> Generator[Any, Any, None]:
        """The round as this client sees it; ends when it has finished, given up or dropped out."""
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
        """Count off the phase and the CPU seconds up to now."""
        self._enter(self._phase)
        if self._on_cpu is not None:
            self._on_cpu.open_s = max(
                self._on_cpu.open_s - (self._env.now - self._on_cpu_since_s), 0.0
            )
            self._on_cpu_since_s = self._env.now

    def pending(self, kept: bool) -> Update | None:
        """The update that goes on in the next round, if any; `kept` says whether this round's
        uploads anything.

        This round's where it is late, because only one can be pending; else the older one that did
        not get through.
        """
        if self.lost:
            return None
        candidates = self.updates[-1:] if kept else self.updates[:-1]
        return next((update for update in candidates if not update.arrived), None)

    def open_bits(self, update: Update) -> float:
        """Bits of an update that are not through; after the band's `settle`."""
        if update.arrived:
            return 0.0
        return self._band.open_bits(self._number) if update.on_air else update.upload_bits

    def _compute(self, update: Update) -> Generator[Any, Any, None]:
        self._enter("compute")
        for stage, (seconds, event) in enumerate(update.stages, 1):
            self._on_cpu, self._on_cpu_since_s = update, self._env.now
            yield from self._work(seconds, note=partial(self._give_way, update))
            self._on_cpu = None
            update.open_s = sum(later_s for later_s, _ in update.stages[stage:])
            if event is not None:
                self._note(event)

    def _give_way(self, update: Update, event: str) -> None:
        """A background job took the CPU away, or gave it back."""
        self.settle()
        self._on_cpu, self._on_cpu_since_s = (
            (None if event == "interrupted" else update),
            self._env.now,
        )
        self._note(event)

    def _upload(self, update: Update) -> Generator[Any, Any, None]:
        self._enter("upload")
        if update.upload_bits > 0:
            if update is not self.updates[-1] and not self._band.reaches(self._number):
                # an old update without a band stays where it is, and the new round's work goes on
                return
            update.on_air = True
            through = yield self._band.send(self._number, update.upload_bits)
            update.on_air = False
            if not through:
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
        self._phase, self._phase_since_s = phase, self._env.now
