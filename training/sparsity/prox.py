"""Proximal operators for sparse weights: keep exactly K of them, or shrink all of them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wirelessfl.errors import InputError, check_count, check_number

Values = TypeVar("Values", NDArray[Any], Tensor)


class Prox(Protocol):
    """Operator on weights after a step: [SPS] Algorithm 1, lines 7, 9 and 11."""

    def __call__(self, values: Values, rate: Any = 1.0) -> Values:
        """Apply the operator.

        Args:
            values: Weights, (..., d).
            rate: Step size, a number or an array (..., 1).

        Returns:
            New weights, (..., d).
        """
        ...


@dataclass(frozen=True)
class TopK:
    """Keep exactly min(K, d) weights of largest magnitude; among equals those of lowest index.

    The projection onto vectors with K weights: [SPS] Algorithm 1, line 9. The rate has no effect.
    Kept weights are unchanged, the others are 0. NaN counts as largest and all NaN are kept, so
    that a divergence stays visible.

    Attributes:
        kept: Number of weights K, at least 0.

    Example:
        >>> TopK(1)(np.array([1.0, -2.0]))
        array([ 0., -2.])
    """

    kept: int

    def __post_init__(self) -> None:
        check_count("training.kept", self.kept, at_least=0)

    def __call__(self, values: Values, rate: Any = 1.0) -> Values:
        """Keep the K largest weights of each vector.

        Args:
            values: Weights, (..., d).
            rate: Without effect.

        Returns:
            New weights, (..., d).
        """
        size = values.shape[-1]
        if self.kept >= size:
            return values
        if self.kept == 0:
            return values * 0
        magnitude = abs(values)
        threshold = _least_of_greatest(magnitude, self.kept)
        stays = ~(magnitude < threshold)  # includes NaN
        if _count(stays) != self.kept * (math.prod(values.shape) // size):  # ties
            some = stays.sum(-1) != self.kept
            stays[some] = _first_of_equals(magnitude[some], threshold[some], self.kept)
        # Three times as fast as `where`, whose branches cannot be predicted.
        result: Values = values * stays
        return result


@dataclass(frozen=True)
class SoftThreshold:
    """Shrink every weight by rate x lambda towards 0: sign(w) max(|w| - rate lambda, 0).

    The proximal operator of rate lambda |w|_1, which RandProx of [SPS] applies after every local
    step.

    Attributes:
        weight: Factor lambda, at least 0: a number, or an array (..., 1) with one for each vector.
    """

    weight: Any = 0.0

    def __post_init__(self) -> None:
        check_number("training.weight", np.ravel(self.weight).tolist(), at_least=0.0)

    def __call__(self, values: Values, rate: Any = 1.0) -> Values:
        """Shrink weights after a step.

        Args:
            values: Weights, (..., d).
            rate: Step size, a number or an array (..., 1).

        Returns:
            New weights, (..., d).
        """
        threshold = self.weight * rate
        if isinstance(values, Tensor):
            bound = torch.as_tensor(threshold, dtype=values.dtype, device=values.device)
            return values - torch.minimum(torch.maximum(values, -bound), bound)
        limit = np.asarray(threshold, dtype=values.dtype)
        shrunk: Values = values - np.clip(values, -limit, limit)
        return shrunk


def together(proxes: Prox | Sequence[Prox | None] | None, runs: Iterable[int]) -> Prox | None:
    """One operator for the stacked weights of several runs.

    Args:
        proxes: The operator of all runs, or one for each run.
        runs: Numbers of the stacked runs, in order.

    Returns:
        The operator for weights (..., R, d); None for none.

    Raises:
        InputError: The operators are of several kinds or several K.
    """
    if proxes is None or not isinstance(proxes, Sequence):
        return proxes
    first, *others = (proxes[run] for run in runs)
    if all(other == first for other in others):
        return first
    weights = [prox.weight for prox in (first, *others) if isinstance(prox, SoftThreshold)]
    if len(weights) < len(proxes):
        raise InputError(
            f"proxes of runs in one stack must be of one kind, got {', '.join(map(str, proxes))}"
        )
    return SoftThreshold(np.array(weights)[:, None])


def chosen(prox: Prox, runs: int) -> Prox:
    """The operator of the first runs.

    Args:
        prox: An operator made by `together`.
        runs: Number of runs.

    Returns:
        The operator for their weights (..., runs, d).
    """
    if isinstance(prox, SoftThreshold) and np.ndim(prox.weight):
        return SoftThreshold(prox.weight[:runs])
    return prox


def _count(mask: Values) -> int:
    return int(mask.sum()) if isinstance(mask, Tensor) else int(np.count_nonzero(mask))


def _first_of_equals(magnitude: Values, threshold: Values, kept: int) -> Values:
    """Mask of the values above a threshold and of the first that equal it.

    Args:
        magnitude: Magnitudes, (N, d); NaN counts as above.
        threshold: Thresholds, (N, 1).
        kept: Number of ones in each row.

    Returns:
        The mask, (N, d).
    """
    greater = ~(magnitude <= threshold)
    equal = magnitude == threshold
    mask: Values = greater | (equal & (equal.cumsum(-1) <= kept - greater.sum(-1)[..., None]))
    return mask


def _least_of_greatest(magnitude: Values, kept: int) -> Values:
    """The `kept`-th largest magnitude of each vector of (..., d), (..., 1)."""
    if isinstance(magnitude, Tensor):
        return magnitude.topk(kept, dim=-1, sorted=False).values.amin(-1, keepdim=True)
    position = magnitude.shape[-1] - kept
    # Bits of non-negative floats have the order of the values, and integers compare faster.
    ordered = magnitude.view(f"i{magnitude.itemsize}")
    return np.partition(ordered, position, axis=-1)[..., position, None].view(magnitude.dtype)
