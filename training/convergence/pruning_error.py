"""The error e_t that pruning adds to a round of [CA-HFP]."""

import numpy as np
from numpy.typing import NDArray

from training.arrays import Mask, Vector


class PruningError:
    """Errors of a round, from the uploads that the mean counts.

    [CA-HFP] eq. (5) defines e_t by w_(t+1) = w_t + sum_k p_k Delta_k + e_t, with the progress
    Delta_k of client k on its own weights; [CA-HFP] eq. (13) takes e_t = sum_k p_k (1 - m_k) w_t,
    values set to 0. Both agree only without reconstruction.
    """

    def __init__(self, start: Vector) -> None:
        """Begin a round.

        Args:
            start: Values of w_t that any client may hold, (n,).
        """
        self._start = start.astype(np.float64)
        self._progress = np.zeros_like(self._start)
        self._kept = np.zeros_like(self._start)
        self._weight = 0.0

    def add(self, vector: Vector, mask: Mask, weight: float) -> None:
        """Count an upload.

        Args:
            vector: The client's values, (n,).
            mask: Values that it has trained, (n,).
            weight: Its weight, above 0, in any unit.
        """
        self._progress += weight * np.where(mask, vector - self._start, 0.0)
        self._kept += weight * mask
        self._weight += weight

    def found(
        self, before: Vector, after: Vector, held: NDArray[np.int64] | slice
    ) -> dict[str, float]:
        """The squared norms of the errors at the end of the round.

        Args:
            before: The global model w_t, (size,).
            after: The global model w_(t+1), (size,).
            held: Places of the n values.

        Returns:
            `pruning_error` ||e_t||^2 of [CA-HFP] eq. (5), and `zeroed_error` that of [CA-HFP] eq.
            (13); 0 in a round without uploads.
        """
        if not self._weight:
            return {"pruning_error": 0.0, "zeroed_error": 0.0}
        step = after.astype(np.float64) - before
        step[held] -= self._progress / self._weight
        zeroed = before.astype(np.float64)
        zeroed[held] *= 1.0 - self._kept / self._weight
        return {"pruning_error": float(step @ step), "zeroed_error": float(zeroed @ zeroed)}
