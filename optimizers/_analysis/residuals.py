"""The residuals of a certificate, and the relative distance that most of them are."""

from dataclasses import dataclass

import numpy as np

from wirelessfl.allocation.problem import Array
from wirelessfl.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Certificate:
    """Distance of an answer from the optimum; every field is relative, >= 0 and of shape (...,).

    An answer is optimal, and its prices are the multipliers of its limits, where all five fields
    are 0 up to rounding.

    Attributes:
        primal_residual: Largest violation of a limit: sum b <= 1, b at least what taking part and
            the cap ask for, 0 <= rho <= cap, T <= deadline per deadline; with energy budgets also
            energy <= budget per budget. Clients that can take no part must have rho = 1.
        stationarity: Largest relative difference between a client's marginal gain and the price of
            the band, counted only in the directions in which its band can move.
        complementarity: Price of the band left over, and what a client could keep beyond what it
            keeps, per total weight. A client that a selection excluded although the band carries it
            counts with its weight.
        dual_residual: How far the prices are from multipliers: 1 for a negative `bandwidth_price`,
            the relative error of `deadline_price` (and of the energy prices) at that price.
        duality_gap: How much better any other answer could be at most, per total weight (per joule
            spent, where energy is minimised). Of a violated limit the absolute value.
    """

    primal_residual: Array
    stationarity: Array
    complementarity: Array
    dual_residual: Array
    duality_gap: Array


def relative_distance(value: Array, low: Array | float, high: Array | float) -> Array:
    """Distance of values from intervals, relative to the larger of the value and the bound missed.

    Args:
        value: Values, any shape.
        low: Lower bounds, broadcasting.
        high: Upper bounds, broadcasting.

    Returns:
        Distances, 0 within the bounds, NaN for NaN.
    """
    distance = np.maximum(np.maximum(low - value, value - high), 0.0)
    size = np.maximum(np.abs(value), np.where(value < low, np.abs(low), np.abs(high)))
    return np.where(distance == 0, 0.0, distance / np.where(size > 0, size, 1.0))


def check_shapes(shape: tuple[int, ...], **values: Array) -> None:
    """Check the arrays of an answer.

    Args:
        shape: Shape that the problem requires.
        **values: Arrays by the name of their field.

    Raises:
        InputError: An array of another shape.
    """
    for name, value in values.items():
        if np.shape(value) != shape:
            raise InputError(f"{name} must have the problem's shape {shape}, got {np.shape(value)}")
