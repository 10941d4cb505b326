"""The loop: one engine in this process, one client after the other."""

from collections.abc import Iterable, Iterator

from training.data.federated import FederatedData
from training.engine.program import EvaluationWork, LocalResult, LocalWork
from training.engine.spec import EngineSpec


class LoopExecutor:
    """Runs the work in this process.

    Attributes:
        ahead: Number of works taken before the first result.
    """

    ahead = 1

    def __init__(self, spec: EngineSpec, data: FederatedData) -> None:
        """Make the engine.

        Args:
            spec: Settings of the engine.
            data: Data of all clients.
        """
        self._engine = spec.build(data)

    def train(self, works: Iterable[LocalWork]) -> Iterator[LocalResult]:
        """Train clients.

        Args:
            works: Local training of the clients; taken as needed.

        Returns:
            An iterator with one result for each work, in order.

        Raises:
            InputError: A work does not fit the model, or training diverged.
        """
        return map(self._engine.train, works)

    def evaluate(self, works: Iterable[EvaluationWork]) -> Iterator[float]:
        """Evaluate models.

        Args:
            works: Models and samples; taken as needed.

        Returns:
            An iterator with one accuracy for each work, in order; see `Engine.evaluate`.
        """
        return map(self._engine.evaluate, works)

    def close(self) -> None:
        """Release nothing: the loop has no processes."""
