"""Fairness of an evaluation: the spread of the accuracy over clients."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

WORST = 0.1  # fraction of the clients in `worst_tenth`


@dataclass(frozen=True)
class Fairness:
    """Spread of the clients' accuracies, each in [0, 1] (R² of a regression: at most 1).

    Attributes:
        mean: Mean over clients.
        worst_tenth: Mean over the worst 10 % of the clients, at least one client.
        standard_deviation: Standard deviation over clients.
    """

    mean: float
    worst_tenth: float
    standard_deviation: float

    @classmethod
    def of(cls, accuracy: ArrayLike) -> "Fairness":
        """Fairness of one evaluation.

        Args:
            accuracy: Accuracy of each client; (K,).

        Returns:
            The spread over clients.
        """
        values = np.sort(np.asarray(accuracy, dtype=np.float64))
        worst = values[: max(1, math.ceil(WORST * len(values)))]
        return cls(float(values.mean()), float(worst.mean()), float(values.std()))
