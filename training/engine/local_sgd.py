"""What algorithms of local SGD share: the checks of their fields, and the phase that these fields
stand for.
"""

from typing import Any

import numpy as np

from training.engine.program import Train
from wirelessfl.errors import InputError, check_count, check_number

MOST_RATE = float(np.finfo(np.float32).max)  # weights are float32: a step by more has no number


def check_rate(name: str, rate: float | None) -> None:
    """A learning rate: above 0; a personal one may be 0 (that part stays) or None (not given)."""
    if name == "personal_learning_rate":
        if rate is not None:
            check_number(f"training.{name}", rate, at_least=0, at_most=MOST_RATE)
    else:
        check_number(f"training.{name}", rate, above=0, at_most=MOST_RATE)


def check_steps(algorithm: Any, *names: str) -> None:
    """Numbers of local steps: whole and at least 0."""
    for name in names:
        check_count(f"training.{name}", getattr(algorithm, name), at_least=0)


def check_descent(algorithm: Any) -> None:
    """The fields that all local training has: rate, steps or epochs, weight decay."""
    check_rate("learning_rate", algorithm.learning_rate)
    check_steps(algorithm, "local_steps")
    if algorithm.local_epochs is not None:
        check_count("training.local_epochs", algorithm.local_epochs)
    check_number("training.weight_decay", algorithm.weight_decay, at_least=0)


def check_sgd(algorithm: Any) -> None:
    """The fields of local SGD as `fedavg` has them: those of all local training, momentum,
    clipping.
    """
    check_descent(algorithm)
    check_number("training.momentum", algorithm.momentum, at_least=0, at_most=1)
    if algorithm.clip_norm is not None:
        check_number("training.clip_norm", algorithm.clip_norm, above=0)


def check_momentum(momentum: float) -> None:
    """Below 1: the effective step of the estimators is eta / (1 - momentum)."""
    if momentum >= 1:
        raise InputError(f"training.momentum must be below 1, got {momentum:g}")


def local_sgd(algorithm: Any, **more: Any) -> Train:
    """The phase of local SGD on the whole model that the fields checked by `check_sgd` stand for.

    `more` are further fields of `Train`.
    """
    return Train(
        part="shared",
        steps=algorithm.local_steps if algorithm.local_epochs is None else None,
        epochs=algorithm.local_epochs,
        learning_rate=algorithm.learning_rate,
        momentum=algorithm.momentum,
        weight_decay=algorithm.weight_decay,
        clip_norm=algorithm.clip_norm,
        stream="batches/shared",
        **more,
    )
