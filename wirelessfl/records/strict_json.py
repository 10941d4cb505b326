"""JSON as RFC 8259 has it: no `NaN` and no `Infinity`; a number that is not finite is written as
null.
"""

import json
import math
from collections.abc import Callable
from typing import Any


def dumps(
    value: Any, *, indent: int | None = None, default: Callable[[Any], Any] | None = None
) -> str:
    """`value` as JSON in one line, or in several with `indent`; `default` converts other types.

    A float that is not finite becomes null: a time that never comes, an energy without a bound, an
    error that a single value does not have. The field that holds it says which.
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
