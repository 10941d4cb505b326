"""Packages of the extras: one line with the install command where one is missing."""

from collections.abc import Iterator
from contextlib import contextmanager

from wirelessfl.errors import InputError


@contextmanager
def needs_extra(extra: str, user: str) -> Iterator[None]:
    """Name the install command where an import in this context fails.

    Args:
        extra: Name of the extra in `pyproject.toml`.
        user: Option or function that needs it, which opens the message.

    Yields:
        None.

    Raises:
        InputError: A package of the extra is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f'{user} needs {error.name}, which is not installed: pip install "wirelessfl[{extra}]"'
        ) from None
