"""Processes of torchrun: their number and the place of this one, from the environment."""

import os

from wirelessfl.errors import InputError


def processes() -> int:
    """Number of processes that torchrun has started for this command.

    Returns:
        The world size; 1 without torchrun.

    Raises:
        InputError: WORLD_SIZE is no whole number of at least 1.
    """
    return _whole("WORLD_SIZE", 1, at_least=1)


def rank() -> int:
    """Number of this process.

    Returns:
        The rank; 0 without torchrun.

    Raises:
        InputError: RANK is not a whole number from 0 to the number of processes - 1.
    """
    found = _whole("RANK", 0, at_least=0)
    if found >= processes():
        raise InputError(f"RANK must be below WORLD_SIZE = {processes()}, got {found}")
    return found


def is_first() -> bool:
    """True if this process is the only one or the first."""
    return processes() == 1 or rank() == 0


def restarted() -> bool:
    """True if torchrun has started this command again after a failure (`--max-restarts`).

    Raises:
        InputError: TORCHELASTIC_RESTART_COUNT is no whole number.
    """
    return _whole("TORCHELASTIC_RESTART_COUNT", 0, at_least=0) > 0


def speaks() -> bool:
    """True unless another process on this machine reports the same errors."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _whole(name: str, usual: int, *, at_least: int) -> int:
    text = os.environ.get(name, str(usual))
    if not text.isascii() or not text.isdigit() or int(text) < at_least:
        raise InputError(f"{name} must be a whole number of at least {at_least}, got {text!r}")
    return int(text)
