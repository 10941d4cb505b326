"""Messages between a process and its workers: pickles over pipes, whose arrays lie in memory that
both see.
"""

import mmap
import os
import pickle
from collections.abc import Iterator
from typing import IO, Any

_ROOM = 1 << 28  # bytes each way; only what messages have filled takes memory
_HEAD = 64  # bytes before each array, which say how long it is and keep it aligned


def shared_file() -> int | None:
    """A file in memory for the `Messages` of two processes; None where the system has none (other
    than Linux).
    """
    if not hasattr(os, "memfd_create"):
        return None
    file = os.memfd_create("wirelessfl")
    os.ftruncate(file, 2 * _ROOM)
    return file


class Messages:
    """One end of the pipes `source` and `sink`; `first` at one end, not at the other; messages go
    to and fro in turn.

    Arrays go through the memory of the shared `file`, where some MB take a fraction of what they
    take in a pipe. Without it, or where it is full, they go through the pipe.
    """

    def __init__(
        self, source: IO[bytes], sink: IO[bytes], file: int | None, *, first: bool
    ) -> None:
        self._source, self._sink = source, sink
        memory = memoryview(b"" if file is None else mmap.mmap(file, 2 * _ROOM))
        halves = memory[:_ROOM], memory[_ROOM:]
        self._in, self._out = halves if first else halves[::-1]

    def send(self, message: Any) -> None:
        """Send anything that can be pickled."""
        end = 0

        def lay(buffer: pickle.PickleBuffer) -> bool:
            """Lay an array into the shared memory; True where it must go through the pipe."""
            nonlocal end
            raw, start = buffer.raw(), end + _HEAD
            if start + raw.nbytes > len(self._out):
                return True
            self._out[end : end + 8] = raw.nbytes.to_bytes(8, "little")
            self._out[start : start + raw.nbytes] = raw
            end = _next(start + raw.nbytes)
            return False

        pickle.dump(message, self._sink, protocol=5, buffer_callback=lay)
        self._sink.flush()

    def receive(self) -> Any:
        """The next message, with arrays of its own; `EOFError` at the end."""
        return pickle.load(self._source, buffers=self._arrays())

    def _arrays(self) -> Iterator[bytearray]:
        """The arrays of a message, in the order in which they were laid."""
        end = 0
        while True:
            start = end + _HEAD
            size = int.from_bytes(self._in[end : end + 8], "little")
            yield bytearray(self._in[start : start + size])
            end = _next(start + size)


def _next(end: int) -> int:
    return -(-end // _HEAD) * _HEAD
