"""The interface of executors."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from training.engine.program import EvaluationWork, LocalResult, LocalWork


class Executor(Protocol):
    """Runs the clients' work of a round; results depend on the work alone.

    Works are taken and results are given as needed, so that the models of a thousand clients never
    exist at once. Nothing runs until the first result is requested, and all must be requested.
    """

    @property
    def ahead(self) -> int:
        """Number of works taken before the first result, which keep the executor busy."""
        ...

    def train(self, works: Iterable[LocalWork]) -> Iterator[LocalResult]:
        """Train clients.

        Args:
            works: Local training of the clients; taken as needed.

        Returns:
            An iterator with one result for each work, in order.

        Raises:
            InputError: A work does not fit the model, or training diverged.
        """
        ...

    def evaluate(self, works: Iterable[EvaluationWork]) -> Iterator[float]:
        """Evaluate models.

        Args:
            works: Models and samples; taken as needed.

        Returns:
            An iterator with one accuracy for each work, in order; see `Engine.evaluate`.
        """
        ...

    def close(self) -> None:
        """Release processes and memory."""
        ...
