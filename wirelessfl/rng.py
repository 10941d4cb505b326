"""Keyed random streams: every draw is a function of (seed, round, client, stream name)."""

import zlib
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Streams:
    """The random streams of one round of one run.

    A stream depends on nothing but its key, so a resumed run is the same run, two policies see the
    same channel, and a draw added elsewhere changes nothing.
    """

    seed: int
    round: int = 0

    def at(self, round_index: int) -> "Streams":
        """The streams of another round of the same run."""
        return replace(self, round=round_index)

    def _sequence(self, name: str, client: int | None) -> np.random.SeedSequence:
        key = (self.round, 0 if client is None else client + 1, zlib.crc32(name.encode()))
        return np.random.SeedSequence(self.seed, spawn_key=key)

    def generator(self, name: str, client: int | None = None) -> np.random.Generator:
        """A NumPy generator for stream `name` of this round, of one client or of the cell."""
        return np.random.Generator(np.random.PCG64(self._sequence(name, client)))

    def seed_for(self, name: str, client: int | None = None) -> int:
        """A 63-bit seed for stream `name`, for generators of other libraries."""
        return int(self._sequence(name, client).generate_state(1, np.uint64)[0] >> np.uint64(1))
