"""Budget of a command: work and memory are estimated before they are spent.

Work without end looks like a program that hangs, and memory without end stops the machine; an
estimate beyond the budget is refused in one line. The budget holds for a round, a table or a list
at a time, not for a whole run, whose progress is shown.
"""

import math
import os

from wirelessfl.errors import InputError

ENVIRONMENT = "WIRELESSFL_BUDGET"  # factor on all limits
LIMITS = {
    "events": 1e7,  # of the simulation in one round: about a minute
    "draws": 1e8,  # random numbers in one round: some seconds
    "bytes": 8e9,  # of memory or of records
    "runs": 1e5,
}


def factor() -> float:
    """Factor on all limits, from the environment.

    Returns:
        The factor; 1 where none is given.

    Raises:
        InputError: It is not a number of at least 1.
    """
    text = os.environ.get(ENVIRONMENT, "1")
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 1 <= found < math.inf:
        raise InputError(f"--budget ({ENVIRONMENT}) must be a number of at least 1, got {text!r}")
    return found


def check_budget(cause: str, unit: str, estimate: float) -> None:
    """Refuse work or memory beyond the budget.

    Args:
        cause: Fields with their values that cause the work, as the message names them.
        unit: One of `LIMITS`.
        estimate: Estimated number of units; inf where there is no end.

    Raises:
        InputError: The estimate is above the limit.
    """
    limit = LIMITS[unit] * factor()
    if estimate > limit:
        needed = estimate / LIMITS[unit]
        way = f"; --budget {math.ceil(needed):.3g} allows it" if needed < math.inf else ""
        raise InputError(
            f"{cause}: about {estimate:.3g} {unit}, above the budget of {limit:.3g}{way}"
        )
