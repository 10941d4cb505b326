"""What training of sub-models carries from round to round, and how it learns from a round."""

from dataclasses import dataclass

from training.arrays import Vector
from training.engine.program import LocalResult
from training.server.state import ServerState
from training.submodels.bandit import Trials
from training.submodels.estimates import Estimates, RoundStatistics
from training.submodels.scores import Scorer


@dataclass(frozen=True, eq=False)
class SubModelState:
    """The global model with what is on its way, the estimates that the scores are made of, trials
    of bandits.
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


class Learning:
    """The estimates of a round, gathered result by result."""

    def __init__(self, scorer: Scorer, state: SubModelState, effective_rate: float) -> None:
        self._scorer, self._state, self._rate = scorer, state, effective_rate
        self._weights = state.shared[: scorer.structure.layout.parameter_size]
        self._rows: dict[int, Estimates] = {}
        self._together = (
            self._observation() if scorer.learns and scorer.score.score_scope == "shared" else None
        )

    def add(self, client: int, result: LocalResult, weight: float) -> None:
        """One more delivered result."""
        if self._together is not None:
            self._together.add(result, weight)
        elif self._scorer.learns:
            alone = self._observation()
            alone.add(result, weight)
            self._rows[client] = self._scorer.learn(self._state.estimates.row(client), alone)

    def estimates(self) -> Estimates:
        """The estimates after the round."""
        if self._together is not None:
            self._rows[0] = self._scorer.learn(self._state.estimates.row(0), self._together)
        return self._state.estimates.with_rows(self._rows) if self._rows else self._state.estimates

    def _observation(self) -> RoundStatistics:
        return self._scorer.observe(self._weights, self._rate)
