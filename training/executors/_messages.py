"""Messages between a process and its workers: pickles over pipes, arrays in shared memory."""

import mmap
import os
import pickle
from collections.abc import Iterator
from typing import IO, Any

_CAPACITY = 1 << 28  # bytes in each direction; pages take memory once they are written
_HEADER = 64  # bytes before each array: its length, and alignment


def shared_file() -> int | None:
    """An anonymous file in memory for the `Messages` of two processes.

    Returns:
        Its descriptor; None where the system has none (other than Linux).
    """
    if not hasattr(os, "memfd_create"):
        return None
    file = os.memfd_create("wirelessfl")
    os.ftruncate(file, 2 * _CAPACITY)
    return file


class Messages:
    """One end of a pair of pipes; the two ends send in turn.

    Arrays pass through shared memory, where some MB take a fraction of the time of a pipe. Without
    it, or where it is full, they pass through the pipe.
    """

    def __init__(
        self, source: IO[bytes], sink: IO[bytes], file: int | None, *, first: bool
    ) -> None:
        """Open one end.

        Args:
            source: Pipe to read from.
            sink: Pipe to write to.
            file: Descriptor of the shared file; None without one.
            first: True at one end and False at the other: the ends write to different halves.
        """
        self._source = source
        self._sink = sink
        memory = memoryview(b"" if file is None else mmap.mmap(file, 2 * _CAPACITY))
        halves = memory[:_CAPACITY], memory[_CAPACITY:]
        self._in, self._out = halves if first else halves[::-1]

    def send(self, message: Any) -> None:
        """Send a message.

        Args:
            message: Any object that can be pickled.
        """
        end = 0

        def lay(buffer: pickle.PickleBuffer) -> bool:
            """Copy an array to shared memory; True where it must pass through the pipe."""
            nonlocal end
            raw = buffer.raw()
            start = end + _HEADER
            if start + raw.nbytes > len(self._out):
                return True
            self._out[end : end + 8] = raw.nbytes.to_bytes(8, "little")
            self._out[start : start + raw.nbytes] = raw
            end = _next(start + raw.nbytes)
            return False

        pickle.dump(message, self._sink, protocol=5, buffer_callback=lay)
        self._sink.flush()

    def receive(self) -> Any:
        """Receive the next message.

        Returns:
            The message; its arrays are copies.

        Raises:
            EOFError: The other end is closed.
        """
        return pickle.load(self._source, buffers=self._arrays())

    def _arrays(self) -> Iterator[bytearray]:
        """The arrays of a message, in the order of sending."""
        end = 0
        while True:
            start = end + _HEADER
            size = int.from_bytes(self._in[end : end + 8], "little")
            yield bytearray(self._in[start : start + size])
            end = _next(start + size)


def _next(end: int) -> int:
    """The next multiple of the alignment."""
    return -(-end // _HEADER) * _HEADER
