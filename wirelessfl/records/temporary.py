"""Temporary folders that are swept at the next start when their process was killed."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "wirelessfl-process-"
_YOUNG_S = 60.0  # a folder younger than this may not be locked yet


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A temporary folder for the time of the context; those of killed processes are removed.

    The folder is locked while it is used: the system releases the lock when the process dies.

    Yields:
        The folder.
    """
    sweep(Path(tempfile.gettempdir()), PREFIX)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, locked(Path(name)):
        yield Path(name)


def sweep(parent: Path, prefix: str) -> None:
    """Remove folders of this user whose process is gone.

    Args:
        parent: The folder that holds them.
        prefix: Start of their names.
    """
    if os.name == "nt":  # no locks on folders
        return
    for folder in parent.iterdir():
        if not folder.name.startswith(prefix):
            continue
        with suppress(OSError):
            about = folder.lstat()
            if about.st_uid != os.getuid() or time.time() - about.st_mtime < _YOUNG_S:
                continue
            if folder.is_dir() and not folder.is_symlink() and _is_free(folder):
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder against `sweep`.

    Args:
        folder: The folder.

    Yields:
        None.
    """
    if os.name == "nt":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def _is_free(folder: Path) -> bool:
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
