"""JSON by RFC 8259, without `NaN` and `Infinity`: numbers that are not finite become null."""

import json
import math
from collections.abc import Callable
from typing import Any


def dumps(
    value: Any, *, indent: int | None = None, default: Callable[[Any], Any] | None = None
) -> str:
    """Convert a value to JSON.

    A float that is not finite becomes null: a time that never comes, an energy without a bound, an
    error that a single value does not have. The field that holds it says which.

    Args:
        value: Value to convert.
        indent: Spaces of indentation; None for one line.
        default: Function that converts other types.

    Returns:
        JSON text.
    """
    try:
        return json.dumps(value, indent=indent, default=default, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), indent=indent, default=default, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
