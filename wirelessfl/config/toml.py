"""TOML from people: everything that cannot be read is a `TOMLDecodeError`."""

import tomllib
from typing import Any


def loads(text: str) -> dict[str, Any]:
    """Values of a TOML text.

    Args:
        text: The text.

    Returns:
        Values by name.

    Raises:
        TOMLDecodeError: The text is no TOML, a number has thousands of digits, or values are
            nested too deeply.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except ValueError as error:
        raise tomllib.TOMLDecodeError(str(error).partition(";")[0]) from None
    except RecursionError:
        raise tomllib.TOMLDecodeError("values are nested too deeply") from None
