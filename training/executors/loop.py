"""The loop: one engine in this process, one client after the other."""

from collections.abc import Iterable, Iterator

from training.data.federated import FederatedData
from training.engine.engine import EngineSpec
from training.engine.program import EvaluationWork, LocalResult, LocalWork


class Loop:
    """Runs the work in this process."""

    ahead = 1

    def __init__(self, spec: EngineSpec, data: FederatedData) -> None:
        self._engine = spec.build(data)

    def train(self, works: Iterable[LocalWork]) -> Iterator[LocalResult]:
        """One result for each work, in order, each when it is asked for."""
        return map(self._engine.train, works)

    def evaluate(self, works: Iterable[EvaluationWork]) -> Iterator[float]:
        """One accuracy for each work, in order, each when it is asked for."""
        return map(self._engine.evaluate, works)

    def close(self) -> None:
        """Nothing to let go of."""
