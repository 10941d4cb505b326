"""Which full gradients a model has."""

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
    """The task of plug-in `model` on `data`: `linear` is ridge regression, `logistic` multinomial
    logistic regression.

    `ridge` is the coefficient of the first, once for all clients together, `l2` that of the second.
    Raises `InputError` for other models, coefficients below 0 and precisions that are not float32
    or float64.
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
