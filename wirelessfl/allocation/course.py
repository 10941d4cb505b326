"""Rounds of a run with sums over them, which grow by one round in a time that does not grow."""

import numpy as np
from numpy.typing import NDArray

from wirelessfl.arrays import Array

_ROOM = 16  # rounds for which memory is taken at first


class _Memory:
    """Memory for rounds: kept fractions and energies, (2, rounds, K), some of them written."""

    def __init__(self, values: Array, written: int) -> None:
        self.values = values
        self.written = written


class Course:
    """Deliveries and energy of the R rounds so far, and sums over them.

    Virtual queues are kept for the budgets asked for last, and count the rounds since they were
    asked for.

    Attributes:
        kept: Kept fraction of the delivered updates, 0 where there was none; (R, K).
        energy_j: Energy spent in J; (R, K).
        age: Rounds since the last delivery, at most R; (K,).
        kept_sum: Sum of the kept fractions; (K,).
    """

    def __init__(self, kept: Array, energy_j: Array) -> None:
        self.kept = kept
        self.energy_j = energy_j
        self._memory: _Memory | None = None
        self.kept_sum: Array = kept.sum(axis=0)
        delivered = kept[::-1] > 0
        first = delivered.argmax(axis=0) if len(kept) else 0
        self.age: NDArray[np.int64] = np.where(delivered.any(axis=0), first, len(kept))
        clients = kept.shape[1]
        self._budget_j = np.full(clients, np.inf)
        self._queue_j = np.zeros(clients)
        self._counted = np.zeros(clients, dtype=np.int64)  # rounds in the queue

    def after(self, kept: Array, energy_j: Array) -> "Course":
        """Course after one more round.

        Args:
            kept: Kept fractions; (K,).
            energy_j: Energy spent in J; (K,).

        Returns:
            The course.
        """
        rounds = len(self.kept)
        memory = self._memory
        if memory is None or memory.written > rounds or memory.values.shape[1] == rounds:
            values = np.empty((2, 2 * rounds + _ROOM, kept.size))
            values[0, :rounds] = self.kept
            values[1, :rounds] = self.energy_j
            memory = _Memory(values, rounds)
        memory.values[:, rounds] = kept, energy_j
        memory.written = rounds + 1
        grown = Course.__new__(Course)
        grown.kept, grown.energy_j = memory.values[:, : rounds + 1]
        grown._memory = memory
        grown.kept_sum = self.kept_sum + kept
        grown.age = np.where(kept > 0, 0, self.age + 1)
        grown._budget_j = self._budget_j.copy()
        grown._queue_j = self._queue_j.copy()
        grown._counted = self._counted.copy()
        return grown

    def queue_j(self, budget_j: Array, clients: NDArray[np.int64]) -> Array:
        """Virtual queue of energy: Q <- max(Q + e - budget, 0) from round to round, from 0.

        Args:
            budget_j: Energy per round in J; (N,), inf is no budget.
            clients: Clients; (N,).

        Returns:
            The queues in J; (N,).
        """
        other = self._budget_j[clients] != budget_j
        anew = clients[other]
        self._budget_j[anew] = budget_j[other]
        self._queue_j[anew] = 0.0
        self._counted[anew] = 0
        counted = self._counted[clients]
        for index in range(int(counted.min(initial=len(self.kept))), len(self.kept)):
            behind = clients[counted <= index]
            over_j = self._queue_j[behind] + self.energy_j[index, behind] - self._budget_j[behind]
            self._queue_j[behind] = np.maximum(over_j, 0.0)
        self._counted[clients] = len(self.kept)
        return self._queue_j[clients]
