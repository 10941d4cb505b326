"""Full local gradients of convex tasks, for many runs at once."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.arrays import Floats
from training.sparsity.prox import Prox

Counts = NDArray[np.int64]
Proxes = Prox | Sequence[Prox | None] | None


class FullGradients(Protocol):
    """A convex task of K clients and d weights, for R runs that differ in method and settings.

    Weights are flat, in the order of the model's parameters (`training.structure.layout`): matrix
    first, then bias.

    Attributes:
        clients: Number of clients K.
        size: Number of weights d.
        dtype: Type in which steps are computed, float32 or float64.
    """

    clients: int
    size: int
    dtype: np.dtype[Any]

    def local_steps(
        self,
        start: Floats,
        control: Floats | None,
        *,
        rate: Floats,
        steps: Counts,
        prox: Proxes = None,
    ) -> Floats:
        """Local steps w_i <- prox(w_i - rate (grad f_i(w_i) - h_i)) of every run.

        Values are not checked: a run that diverges ends with inf or NaN. The given arrays are not
        changed.

        Args:
            start: Weights at the start, (R, d), common to a run's clients, or (R, K, d).
            control: Control variates h_i, (R, K, d); None where all are 0.
            rate: Step size of each run, (R,).
            steps: Number of steps of each run, (R,).
            prox: Operator after every step: one for all runs or one for each; these must be of one
                kind (`training.sparsity.prox.together`).

        Returns:
            Weights, (R, K, d).

        Raises:
            InputError: The operators are of several kinds.
        """
        ...

    def loss(self, weights: Floats) -> Floats:
        """Training objective in float64: the sum of the f_i with their regularisers.

        Args:
            weights: Weights, (R, d).

        Returns:
            Objective of each run, (R,).
        """
        ...

    def score(self, weights: Floats) -> Floats:
        """R^2 or accuracy on all test rows, as `Engine.evaluate`.

        Args:
            weights: Weights, (R, d).

        Returns:
            Score of each run, (R,).
        """
        ...


def passes(steps: Counts) -> tuple[NDArray[np.intp], list[tuple[int, int]]]:
    """Order of runs by their numbers of steps, so that a finished run costs nothing.

    Args:
        steps: Number of steps of each run, (R,).

    Returns:
        The runs in descending order of steps, (R,), and stages: numbers of runs in progress and of
        steps, [(R, fewest), ..., (1, ...)]; the steps of all stages sum to the largest number.

    Example:
        >>> passes(np.array([1, 3]))
        (array([1, 0]), [(2, 1), (1, 2)])
    """
    order = np.argsort(-steps, kind="stable")
    stages = []
    done = 0
    for stop in np.unique(steps):
        if stop > done:
            stages.append((int(np.count_nonzero(steps >= stop)), int(stop - done)))
            done = int(stop)
    return order, stages


def powers(lost: Floats, steps: Counts, rate: Floats) -> tuple[Floats, Floats]:
    """Factors of L steps of gradient descent on a start and on a constant force.

    q^L and rate (1 + q + ... + q^(L-1)) with q = 1 - `lost`, without cancellation at a small
    `lost`. One step has the factors 1 - `lost` and rate to the last bit, so that a weight whose
    gradient is 0 stays 0.

    Args:
        lost: Rate x curvature.
        steps: Number of steps L.
        rate: Step size.

    Returns:
        The factor of the start and that of the force, in the common shape of the arguments.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        less = np.where(
            lost < 1,
            np.expm1(steps * np.log1p(-np.minimum(lost, 1.0))),
            (1.0 - lost) ** steps - 1.0,
        )
        total = np.where(lost == 0, rate * steps, -less * rate / lost)
    one = steps == 1
    return np.where(one, 1.0 - lost, less + 1.0), np.where(one, rate, total)
