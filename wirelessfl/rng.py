"""Keyed random streams: every draw is a function of (seed, round, client, stream name)."""

import zlib
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Streams:
    """Random streams of one round of one run.

    A stream depends on nothing but its key (seed, round, client, name), so a resumed run is the
    same run, two policies see the same channel, and a draw added elsewhere changes nothing.

    Attributes:
        seed: Seed of the run; at least 0.
        round: Index of the round, from 0.
    """

    seed: int
    round: int = 0

    def at(self, round_index: int) -> "Streams":
        """Streams of another round of the same run.

        Args:
            round_index: Index of the round, from 0.

        Returns:
            The streams.
        """
        return replace(self, round=round_index)

    def _sequence(self, name: str, client: int | None) -> np.random.SeedSequence:
        key = (self.round, 0 if client is None else client + 1, zlib.crc32(name.encode()))
        return np.random.SeedSequence(self.seed, spawn_key=key)

    def generator(self, name: str, client: int | None = None) -> np.random.Generator:
        """NumPy generator of one stream of this round.

        Args:
            name: Name of the stream.
            client: Number of the client; None for a stream of the whole cell.

        Returns:
            A new generator at the start of the stream.
        """
        return np.random.Generator(np.random.PCG64(self._sequence(name, client)))

    def seed_for(self, name: str, client: int | None = None) -> int:
        """Seed of one stream, for generators of other libraries.

        Args:
            name: Name of the stream.
            client: Number of the client; None for a stream of the whole cell.

        Returns:
            A whole number of 63 bits.
        """
        return int(self._sequence(name, client).generate_state(1, np.uint64)[0] >> np.uint64(1))
