"""The loop: one engine in this process, one client after the other."""

from collections.abc import Sequence

from training.data._federated import FederatedData
from training.engine import EngineSpec
from training.program import EvaluationWork, LocalResult, LocalWork


class Loop:
    """Runs the work in this process."""

    def __init__(self, spec: EngineSpec, data: FederatedData) -> None:
        self._engine = spec.build(data)

    def train(self, works: Sequence[LocalWork]) -> list[LocalResult]:
        """One result for each work, in order."""
        return [self._engine.train(work) for work in works]

    def evaluate(self, works: Sequence[EvaluationWork]) -> list[float]:
        """One accuracy for each work, in order."""
        return [self._engine.evaluate(work) for work in works]

    def close(self) -> None:
        """Nothing to let go of."""
