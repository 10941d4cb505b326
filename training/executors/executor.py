"""The interface of executors."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from training.engine.program import EvaluationWork, LocalResult, LocalWork


class Executor(Protocol):
    """Runs a round's work; what it gives depends on the work alone.

    Works are taken and results given as they are needed, so that a thousand clients' models are
    never there at once; nothing runs until the first result is asked for, and all must be asked
    for.
    """

    @property
    def ahead(self) -> int:
        """Works that it takes before it gives the first result, which keep it busy."""
        ...

    def train(self, works: Iterable[LocalWork]) -> Iterator[LocalResult]:
        """One result for each work, in order."""
        ...

    def evaluate(self, works: Iterable[EvaluationWork]) -> Iterator[float]:
        """One accuracy for each work, in order."""
        ...

    def close(self) -> None:
        """Let go of processes and memory."""
        ...
