"""Checks that the algorithms' fields share."""

from typing import Any

from wirelessfl.errors import InputError, check_number


def check_rate(name: str, rate: float | None) -> None:
    """A learning rate: above 0; a personal one may be 0 (that part stays) or None (not given)."""
    if name == "personal_learning_rate":
        if rate is not None:
            check_number(f"training.{name}", rate, at_least=0)
    else:
        check_number(f"training.{name}", rate, above=0)


def check_steps(algorithm: Any, *names: str) -> None:
    """Numbers of local steps: whole and at least 0."""
    for name in names:
        steps = getattr(algorithm, name)
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
            raise InputError(f"training.{name} must be a whole number of at least 0, got {steps!r}")
