"""Choice of the full gradients by model."""

from typing import Any

import numpy as np

from training.convex.full_gradients import FullGradients
from training.data.federated import FederatedData
from wirelessfl.errors import InputError, check_choice, check_number

PRECISIONS = ("float32", "float64")


def full_gradients(
    data: FederatedData,
    model: str,
    *,
    ridge: float = 500.0,
    l2: float = 1e-3,
    precision: str = "float64",
) -> FullGradients:
    """The full gradients of a model on a divided data set.

    Args:
        data: Training and test data of all clients.
        model: `linear` for ridge regression or `logistic` for multinomial logistic regression.
        ridge: Coefficient of the ridge regression, once for all clients together, at least 0.
        l2: Coefficient of the logistic regression, at least 0.
        precision: "float32" or "float64".

    Returns:
        The convex task.

    Raises:
        InputError: Another model or precision, or a coefficient below 0.
    """
    check_choice("training.precision", precision, PRECISIONS)
    check_number("training.ridge", ridge, at_least=0)
    check_number("training.l2", l2, at_least=0)
    dtype: np.dtype[Any] = np.dtype(precision)
    if model == "linear":
        from training.convex.ridge import RidgeGradients

        return RidgeGradients(data, ridge=ridge, dtype=dtype)
    if model == "logistic":
        from training.convex.logistic import LogisticGradients

        return LogisticGradients(data, l2=l2, dtype=dtype)
    raise InputError(
        f"training.model must be linear or logistic for full local gradients, got {model!r}"
    )
