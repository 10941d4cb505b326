"""Proximal operators that make a vector of weights sparse: exactly K of it stay, or all of it
shrinks a little.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wirelessfl.errors import check_count, check_number

Values = TypeVar("Values", NDArray[Any], Tensor)


class Prox(Protocol):
    """What [SPS] Algorithm 1, lines 7, 9 and 11 do to weights after a step."""

    def __call__(self, values: Values, rate: Any = 1.0) -> Values:
        """New weights for `values` (..., d); `rate` of the step is a number or an array (..., 1)."""
        ...


@dataclass(frozen=True)
class TopK:
    """Keep exactly min(K, d) weights of greatest magnitude, K = `kept`; among equals those of
    lowest index stay.

    The projection onto vectors with K weights, [SPS] Algorithm 1, line 9; no rate changes it.
    What is kept is unchanged, the rest is 0. What is not a number counts as greatest and stays, all
    of it: a divergence is not hidden.
    """

    kept: int

    def __post_init__(self) -> None:
        check_count("training.kept", self.kept, at_least=0)

    def __call__(self, values: Values, rate: Any = 1.0) -> Values:
        """Each vector of d of `values` (..., d) with its own K weights."""
        size = values.shape[-1]
        if self.kept >= size:
            return values
        if self.kept == 0:
            return values * 0
        magnitude = abs(values)
        threshold = _least_of_greatest(magnitude, self.kept)
        stays = ~(magnitude < threshold)  # what is not a number, too
        if _count(stays) != self.kept * (math.prod(values.shape) // size):  # ties
            some = stays.sum(-1) != self.kept
            stays[some] = _first_of_equals(magnitude[some], threshold[some], self.kept)
        return values * stays  # three times as fast as choosing, whose branches nobody can foresee


@dataclass(frozen=True)
class SoftThreshold:
    """Shrink every weight by rate x lambda towards 0, lambda = `weight`: sign(w) max(|w| - rate
    lambda, 0).

    The proximal operator of rate lambda |w|_1, which RandProx of [SPS] applies after every local
    step. `weight` is at least 0, a number or an array (..., 1) with one for each vector.
    """

    weight: Any = 0.0

    def __post_init__(self) -> None:
        check_number("training.weight", np.ravel(self.weight).tolist(), at_least=0.0)

    def __call__(self, values: Values, rate: Any = 1.0) -> Values:
        """`values` (..., d) after a step of `rate`, a number or an array (..., 1)."""
        threshold = self.weight * rate
        if isinstance(values, Tensor):
            bound = torch.as_tensor(threshold, dtype=values.dtype, device=values.device)
            return values - torch.minimum(torch.maximum(values, -bound), bound)
        bound = np.asarray(threshold, dtype=values.dtype)
        return values - np.clip(values, -bound, bound)


def together(proxes: Prox | Sequence[Prox | None] | None, runs: Iterable[int]) -> Prox | None:
    """One operator for weights (..., R, d) of the `runs`, in their order: that of all, or that of
    each.

    Raises `ValueError` for proxes of several kinds or several K: those are not computed together.
    """
    if proxes is None or not isinstance(proxes, Sequence):
        return proxes
    first, *others = (proxes[run] for run in runs)
    if all(other == first for other in others):
        return first
    weights = [prox.weight for prox in (first, *others) if isinstance(prox, SoftThreshold)]
    if len(weights) < len(proxes):
        raise ValueError(
            f"proxes of runs in one stack must be of one kind, got {', '.join(map(str, proxes))}"
        )
    return SoftThreshold(np.array(weights)[:, None])


def chosen(prox: Prox, runs: int) -> Prox:
    """The operator of the first `runs` runs of one that `together` made."""
    if isinstance(prox, SoftThreshold) and np.ndim(prox.weight):
        return SoftThreshold(prox.weight[:runs])
    return prox


def _count(mask: Values) -> int:
    return int(mask.sum()) if isinstance(mask, Tensor) else int(np.count_nonzero(mask))


def _first_of_equals(magnitude: Values, threshold: Values, kept: int) -> Values:
    """Mask (N, d) of what is greater than `threshold` (N, 1), or is not a number, and of the first
    that equal it.
    """
    greater, equal = ~(magnitude <= threshold), magnitude == threshold
    mask: Values = greater | (equal & (equal.cumsum(-1) <= kept - greater.sum(-1)[..., None]))
    return mask


def _least_of_greatest(magnitude: Values, kept: int) -> Values:
    """The `kept`-th greatest number of each vector of (..., d), shape (..., 1)."""
    if isinstance(magnitude, Tensor):
        return magnitude.topk(kept, dim=-1, sorted=False).values.amin(-1, keepdim=True)
    place = magnitude.shape[-1] - kept
    ordered = magnitude.view(
        f"i{magnitude.itemsize}"
    )  # without signs the bits have the order of the numbers: faster
    return np.partition(ordered, place, axis=-1)[..., place, None].view(magnitude.dtype)
