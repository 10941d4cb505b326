"""State of training with sub-models, and the estimates that are learnt in a round."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from training.arrays import Vector
from training.engine.program import LocalResult
from training.server.state import ServerState
from training.submodels.bandit import Trials
from training.submodels.estimates import Estimates, RoundStatistics
from training.submodels.places import Places
from training.submodels.scores import Scorer


@dataclass(frozen=True, eq=False)
class SubModelState:
    """Global model, the estimates of the score and the history of the bandits; read-only.

    Attributes:
        base: Global model and uploads in transit.
        estimates: Estimates of gradient, curvature and movement.
        trials: History of the bandits; None in a method without them.
    """

    base: ServerState
    estimates: Estimates
    trials: Trials | None = None

    @property
    def round(self) -> int:
        """Rounds done."""
        return self.base.round

    @property
    def shared(self) -> Vector:
        """The global model, (size,)."""
        return self.base.shared

    def pack(self) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        trials = {} if self.trials is None else self.trials.pack()
        return self.base.pack() | self.estimates.pack() | trials

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> "SubModelState":
        """A packed state of the same shapes as this one.

        Args:
            arrays: Arrays that `pack` returned.

        Returns:
            The state that was packed.

        Raises:
            InputError: If the arrays are those of another model, score or number of clients.
        """
        base = self.base.unpack(arrays)
        trials = None if self.trials is None else self.trials.unpack(arrays)
        return SubModelState(base, self.estimates.unpack(arrays), trials)


class Learning:
    """The estimates of a round, gathered result by result.

    Args:
        scorer: Score of the model.
        state: State before the round.
        effective_rate: Effective step eta', above 0.
        places: Places of the sub-models of the round.
        start: Values of their union in the global model, (size,).
    """

    def __init__(
        self,
        scorer: Scorer,
        state: SubModelState,
        effective_rate: float,
        places: Places,
        start: Vector,
    ) -> None:
        self._scorer = scorer
        self._state = state
        self._rate = effective_rate
        self._held = places.parameters
        self._weights = start[: places.parameter_size]
        self._rows: dict[int, Estimates] = {}
        shared = scorer.learns and scorer.score.score_scope == "shared"
        self._statistics = self._observation() if shared else None

    def add(self, client: int, result: LocalResult, weight: float) -> None:
        """Count one more delivered result.

        Args:
            client: Index of the client.
            result: Its local result, spread over the union of the sub-models.
            weight: Weight to which p_k is proportional, such as its samples.
        """
        if self._statistics is not None:
            self._statistics.add(result, weight)
        elif self._scorer.learns:
            statistics = self._observation()
            statistics.add(result, weight)
            self._learn(client, statistics)

    def estimates(self) -> Estimates:
        """The estimates after the round."""
        if self._statistics is not None:
            self._learn(0, self._statistics)
        known = self._state.estimates
        return known.with_rows(self._rows, self._held) if self._rows else known

    def _learn(self, index: int, statistics: RoundStatistics) -> None:
        row = self._state.estimates.row(index, self._held)
        self._rows[index] = self._scorer.learn(row, statistics, self._held)

    def _observation(self) -> RoundStatistics:
        return self._scorer.observe(self._weights, self._rate)
