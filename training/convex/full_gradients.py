"""Full local gradients of convex tasks, many runs at once."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.sparsity.prox import Prox

Floats = NDArray[np.floating]
Counts = NDArray[np.int64]
Proxes = Prox | Sequence[Prox | None] | None


class FullGradients(Protocol):
    """A convex task of K clients and d weights, for R runs that differ in method and settings only.

    Weights are flat, in the order of the model's parameters (`training.structure.layout`): matrix first, bias
    behind it.
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
        """Weights (R, K, d) after `steps` (R,) local steps w_i <- prox(w_i - rate (grad f_i(w_i) -
        h_i)) of each run.

        `start` is (R, d), common to a run's clients, or (R, K, d); the control variates h `control`
        are (R, K, d), None where all are 0; `rate` is (R,). `prox` follows every step: one for all
        runs, or one for each; those must be of one kind (`training.prox.together`). The given
        arrays stay as they are. Nothing looks at the numbers: what diverges ends as inf or nan.
        """
        ...

    def loss(self, weights: Floats) -> Floats:
        """The training objective (R,) of the weights (R, d) in float64: the sum of the f_i, with
        their regularisers.
        """
        ...

    def score(self, weights: Floats) -> Floats:
        """R^2 or accuracy (R,) of the weights (R, d) on all test rows of the data, as
        `Engine.evaluate`.
        """
        ...


def passes(steps: Counts) -> tuple[NDArray[np.intp], list[tuple[int, int]]]:
    """The runs with most `steps` (R,) first, and how many of them are under way together for how
    many steps.

    So that a run that is done costs nothing: [(R, fewest), ..., (1, ...)], whose second numbers sum
    to the most.
    """
    order = np.argsort(-steps, kind="stable")
    stages, done = [], 0
    for stop in np.unique(steps):
        if stop > done:
            stages.append((int(np.count_nonzero(steps >= stop)), int(stop - done)))
            done = int(stop)
    return order, stages


def powers(lost: Floats, steps: Counts, rate: Floats) -> tuple[Floats, Floats]:
    """q^L and rate (1 + q + ... + q^(L-1)) with q = 1 - `lost` and L = `steps`, without
    cancellation at a small `lost`.

    What L steps of gradient descent make of a start and of a constant force; `lost` is rate x
    curvature.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        less = np.where(
            lost < 1,
            np.expm1(steps * np.log1p(-np.minimum(lost, 1.0))),
            (1.0 - lost) ** steps - 1.0,
        )
        total = np.where(lost == 0, rate * steps, -less * rate / lost)
    return less + 1.0, total
