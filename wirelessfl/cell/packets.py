"""Packets of one client's uploads: lost transmissions and the bits between them."""

import numpy as np
from numpy.typing import NDArray

from wirelessfl.scenario.link import Link

_AHEAD = 4096  # most packets of a run, whatever the upload


class Packets:
    """Packets of one client in one round, sent in sequence, each until it arrives or is given up.

    Transmission i of the round is lost when u_i < q, with u_i the i-th of the client's own uniform
    draws and q the current probability: two rounds that differ only in the rate lose the same
    transmissions. Between losses no event of interest happens, so packets are processed in runs
    (`run_bits`) and not one by one, with the same result as an event per packet. The last packet of
    an upload may be shorter than the others.

    Args:
        link: Packet size and number of transmissions.
        rng: Generator of the uniform draws.

    Attributes:
        retransmissions: Number of packets that were sent again in this round.
    """

    def __init__(self, link: Link, rng: np.random.Generator) -> None:
        self._size_bits = link.packet_bits
        self._most = link.max_transmissions
        self._rng = rng
        self._uniform = np.zeros(0)  # draws of the current or next transmission, and of later ones
        self._failed = 0  # lost transmissions of the current packet
        self._left_bits = 0.0  # bits of the upload, the current packet in full
        self._run = 0  # transmissions until the next loss or the end of the run
        self._outcome = ""  # of the run
        self.retransmissions = 0

    def begin(self, bits: float) -> None:
        """Start another upload.

        Args:
            bits: Its size in bits.
        """
        self._left_bits = bits
        self._failed = 0
        self._run = 1

    def open_bits(self, sent_bits: float) -> float:
        """Bits of the upload that have not arrived.

        Args:
            sent_bits: Bits of the current run that have been sent.

        Returns:
            Bits; a packet in transit counts in full.
        """
        return max(self._left_bits - self._whole(sent_bits) * self._size_bits, 0.0)

    def run_bits(self, loss: float) -> float:
        """Transmitted bits from the start of the current packet to the next event.

        Args:
            loss: Probability that a packet is lost, from now on.

        Returns:
            Bits up to the end of the next lost packet or of the upload.
        """
        # Less than 1e-9 of a packet is rounding, not another packet.
        whole = max(int(np.ceil(self._left_bits / self._size_bits - 1e-9)), 1)
        self._run = min(whole, _AHEAD)
        lost = np.flatnonzero(self._draws(self._run) < loss)
        self._outcome = "uploaded" if self._run == whole else "under way"
        if lost.size:
            self._run = int(lost[0]) + 1
            self._outcome = "block lost"
        return self._left_bits if self._run == whole else self._run * self._size_bits

    def pass_by(self, sent_bits: float) -> float:
        """Count the packets of the run that have been sent in full.

        Args:
            sent_bits: Bits of the current run that have been sent.

        Returns:
            Bits sent of the packet in transit.
        """
        arrived = self._whole(sent_bits)
        self._advance(arrived)
        return sent_bits - arrived * self._size_bits

    def end_run(self) -> str:
        """End the current run.

        Returns:
            "uploaded", "block lost", "gave up", or "under way" where no event has happened.
        """
        if self._outcome != "block lost":
            self._advance(self._run)
            return self._outcome
        self._advance(self._run - 1)
        self._uniform = self._uniform[1:]
        self._failed += 1
        if self._failed == self._most:
            return "gave up"
        self.retransmissions += 1
        return self._outcome

    def _whole(self, sent_bits: float) -> int:
        """Packets that `sent_bits` carry in full; the last one arrives only at the run's end."""
        return min(int(sent_bits / self._size_bits + 1e-9), self._run - 1)

    def _advance(self, packets: int) -> None:
        """Count `packets` more as arrived."""
        if packets:
            self._uniform = self._uniform[packets:]
            self._run -= packets
            self._failed = 0
            self._left_bits = max(self._left_bits - packets * self._size_bits, 0.0)

    def _draws(self, count: int) -> NDArray[np.float64]:
        missing = count - self._uniform.size
        if missing > 0:
            self._uniform = np.concatenate([self._uniform, self._rng.random(missing)])
        return self._uniform[:count]
