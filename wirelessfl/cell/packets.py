"""One client's uploads as packets: lost transmissions, and the sent bits until each loss."""

import numpy as np
from numpy.typing import NDArray

from wirelessfl.scenario.link import Link

_AHEAD = 4096  # packets that are looked ahead at most, whatever the upload


class Packets:
    """The packets of one client in one round, sent one after another, each until it is through or
    given up.

    Transmission i of the round is lost when u_i < q, with u_i the i-th of the client's own uniform
    draws and q the probability of the moment: two rounds that differ in the rate only lose the same
    transmissions. Between losses nothing happens that anybody has to know, so packets are looked up
    in runs (`run_bits`) and not one by one, which gives the same as an event per packet. The last
    packet of an upload may be shorter than the others.
    """

    def __init__(self, link: Link, rng: np.random.Generator) -> None:
        self._size_bits = link.packet_bits
        self._most = link.max_transmissions
        self._rng = rng
        self._uniform = np.zeros(0)  # draws of the present or next transmission, and of later ones
        self._failed = 0  # transmissions of the present packet that were lost
        self._left_bits = 0.0  # of the upload, the present packet in full
        self._run = 0  # transmissions until the next loss or the end of what is looked at
        self._outcome = ""  # of the run
        self.retransmissions = 0

    def begin(self, bits: float) -> None:
        """Another upload."""
        self._left_bits, self._failed, self._run = bits, 0, 1

    def open_bits(self, sent_bits: float) -> float:
        """Bits of the upload that are not through once `sent_bits` of the run are sent; a packet in
        transit in full.
        """
        return max(self._left_bits - self._whole(sent_bits) * self._size_bits, 0.0)

    def run_bits(self, loss: float) -> float:
        """Bits from the start of the present packet until the next event, at this loss."""
        whole = max(int(np.ceil(self._left_bits / self._size_bits - 1e-9)), 1)
        self._run = min(whole, _AHEAD)
        lost = np.flatnonzero(self._draws(self._run) < loss)
        self._outcome = "uploaded" if self._run == whole else "under way"
        if lost.size:
            self._run, self._outcome = int(lost[0]) + 1, "block lost"
        return self._left_bits if self._run == whole else self._run * self._size_bits

    def pass_by(self, sent_bits: float) -> float:
        """Count the packets of the run that `sent_bits` carried in full.

        Returns:
            The bits sent of the packet in transmission.
        """
        through = self._whole(sent_bits)
        self._advance(through)
        return sent_bits - through * self._size_bits

    def end_run(self) -> str:
        """The event at the end of the run.

        Returns:
            "uploaded", "block lost", "gave up", or "under way" without an event.
        """
        if self._outcome != "block lost":
            self._advance(self._run)
            return self._outcome
        self._advance(self._run - 1)
        self._uniform, self._failed = self._uniform[1:], self._failed + 1
        if self._failed == self._most:
            return "gave up"
        self.retransmissions += 1
        return self._outcome

    def _whole(self, sent_bits: float) -> int:
        """Packets of the run that `sent_bits` carry in full; the last one is through only when the
        run ends.
        """
        return min(int(sent_bits / self._size_bits + 1e-9), self._run - 1)

    def _advance(self, packets: int) -> None:
        """`packets` more are through."""
        if packets:
            self._uniform, self._run, self._failed = self._uniform[packets:], self._run - packets, 0
            self._left_bits = max(self._left_bits - packets * self._size_bits, 0.0)

    def _draws(self, count: int) -> NDArray[np.float64]:
        missing = count - self._uniform.size
        if missing > 0:
            self._uniform = np.concatenate([self._uniform, self._rng.random(missing)])
        return self._uniform[:count]
