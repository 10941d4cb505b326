"""Ctrl-C: one line, whenever it comes, with the way to continue where there is one."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STATUS = 130  # of a process that is stopped from the keyboard
_LINE = b"error: stopped\n"


class Stopped(Exception):
    """Ctrl-C during work that can be continued; the message says how."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt`, except during an import, where it ends the process.

    An exception that passes through the start-up code of a compiled package can abort the process;
    during imports there is no work to clean up.

    Yields:
        None.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def resumable(hint: Callable[[], str]) -> Iterator[None]:
    """Name the way to continue when the work in this context is stopped.

    Args:
        hint: Function that returns the way to continue; empty where nothing was done yet.

    Yields:
        None.

    Raises:
        Stopped: Ctrl-C was pressed.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(hint()) from None


def _stop(number: int, frame: FrameType | None) -> None:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            os.write(2, _LINE)
            os._exit(STATUS)
        frame = frame.f_back
    raise KeyboardInterrupt
