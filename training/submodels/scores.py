"""Importance of filters, and the sub-model that keeps the best filters of every layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from training.arrays import Doubles, Mask, Vector
from training.structure.layout import Entry
from training.structure.structure import Structure
from training.structure.submodel import SubModel, Widths
from training.submodels.estimates import Estimates, RoundStatistics, RunningMean, Sum
from training.submodels.places import EVERYTHING, Index
from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.rng import Streams
from wirelessfl.text import in_full

ScoreName = Literal["curvature", "paper", "taylor", "l1", "delta", "random"]
Curvature = Literal["fisher", "secant", "exact-fisher"]
Scope = Literal["shared", "client"]

_BLOCK = 65_536  # weights scored at once: their scores stay in the cache

FilterScores = Mapping[str, Doubles]  # by group of filters, (width of the group,)


@dataclass(frozen=True, kw_only=True)
class FilterScore:
    """The importance of a filter: the sum over its weights w and its bias of one of these scores.

    * `curvature`: h w^2, which is [CA-HFP] eq. (14) late in training, when gradients vanish.
    * `taylor`: h w^2 / 2 - g w, the growth of the loss by [CA-HFP] eq. (14) when w is set to 0
      (q = 1).
    * `paper`: g w + h w^2, [CA-HFP] eq. (15) in the form printed in the paper.
    * `l1`: |w|, the magnitude.
    * `delta`: |sum_k p_k Delta_k|, the absolute change (Delta_k = w_k - w_t) of the weights by the
      last round in which the filter was held.
    * `random`: a uniform draw.

    Gradient g and diagonal curvature h are estimated from the uploads: `curvature = "fisher"` is
    the clients' mean of (Delta / (eta' tau))^2, `"secant"` |g - g'| / |w - w'| from round to round,
    both as running means. `"exact-fisher"` has the clients send mean squared mini-batch gradients,
    which doubles the upload: a reference. With "fisher", h w^2 is (g w)^2 summed over clients: the
    squared first-order score.

    **Differs:** [CA-HFP] leaves open how g and h are estimated "from local model variations" (the
    estimators are ours), and [CA-HFP] eq. (15) has lost the minus and the 1/2 of [CA-HFP] eq. (14).
    A weight that has never been held counts with the mean estimate of its tensor: with an estimate
    of 0 the filters that the first, random masks omit would be excluded permanently.

    Attributes:
        score: Name of the score.
        curvature: Estimator of the curvature h.
        score_scope: Estimates `shared` by all clients, or one row for each `client`, which is then
            scored by its own Delta alone.
        random_rounds: Rounds at the start that keep random filters, at least 0.
        score_momentum: Factor of the running means, in [0, 1).
        score_bn: Whether scale and shift of batch norm count.
    """

    score: ScoreName = "curvature"
    curvature: Curvature = "fisher"
    score_scope: Scope = "shared"
    random_rounds: int = 1
    score_momentum: float = 0.9
    score_bn: bool = False

    def __post_init__(self) -> None:
        check_choice("training.score", self.score, get_args(ScoreName))
        check_choice("training.curvature", self.curvature, get_args(Curvature))
        check_choice("training.score_scope", self.score_scope, get_args(Scope))
        check_count("training.random_rounds", self.random_rounds, at_least=0)
        check_number("training.score_momentum", self.score_momentum, at_least=0)
        if self.score_momentum >= 1:
            raise InputError(
                f"training.score_momentum must be below 1, got {in_full(self.score_momentum)}"
            )

    @property
    def uses_gradient(self) -> bool:
        """True if the score needs an estimate of g, in itself or for the secant."""
        return self.uses_secant or self.score in ("paper", "taylor")

    @property
    def uses_curvature(self) -> bool:
        """True if h is part of the score."""
        return self.score in ("curvature", "paper", "taylor")

    @property
    def uses_secant(self) -> bool:
        """True if h is estimated by the secant."""
        return self.uses_curvature and self.curvature == "secant"

    @property
    def asks_clients(self) -> bool:
        """True if clients measure and send squared gradients."""
        return self.uses_curvature and self.curvature == "exact-fisher"


@dataclass(frozen=True, eq=False)
class Scorer:
    """A `FilterScore` of one model: from weights and estimates to scores of filters.

    Attributes:
        score: Score and estimators.
        structure: Groups of filters of the model.
    """

    score: FilterScore
    structure: Structure

    def initial(self, clients: int) -> Estimates:
        """The estimates before the first round.

        Args:
            clients: Number of clients K.

        Returns:
            One row for all clients, or one for each.
        """
        size = self.structure.layout.parameter_size
        score = self.score
        return Estimates.unknown(
            clients if score.score_scope == "client" else 1,
            gradient=size if score.uses_gradient else 0,
            curvature=size if score.uses_curvature else 0,
            movement=sum(self.structure.widths.values()) if score.score == "delta" else 0,
            last=size if score.uses_secant else 0,
        )

    @property
    def learns(self) -> bool:
        """True if the score needs estimates at all."""
        return self.score.score not in ("l1", "random")

    def observe(self, weights: Vector, effective_rate: float) -> RoundStatistics:
        """Empty sums for the models of a round.

        Args:
            weights: Weights w_t at the start of the round, (parameter_size,).
            effective_rate: Effective step eta', above 0.

        Returns:
            Statistics of the quantities that the score needs.
        """
        score = self.score
        wanted: dict[Sum, bool] = {
            "gradient": score.uses_gradient,
            "square": score.uses_curvature and not score.uses_secant,
            "movement": score.score == "delta",
        }
        return RoundStatistics(
            weights, effective_rate, [name for name, needed in wanted.items() if needed]
        )

    def learn(
        self, row: Estimates, statistics: RoundStatistics, held: Index = EVERYTHING
    ) -> Estimates:
        """One row of the estimates after a round.

        Args:
            row: Row before the round, arrays (n,).
            statistics: Sums over the models of the round, (n,).
            held: Positions of these weights among all.

        Returns:
            Row after the round.
        """
        movement = np.zeros(0)
        filters: Mask = np.zeros(0, dtype=np.bool_)
        if self.score.score == "delta":
            size = self.structure.layout.parameter_size
            moved, seen = np.zeros(size), np.zeros(size, dtype=np.bool_)
            moved[held] = statistics.movement()
            seen[held] = statistics.seen
            movement = np.concatenate(list(self.sums(moved).values()))
            filters = np.concatenate(list(self.sums(seen).values())) > 0
        return statistics.update(
            row,
            self.score.score_momentum,
            secant=self.score.uses_secant,
            filters=filters,
            movement=movement,
        )

    def filters(self, vector: Vector, row: Estimates, streams: Streams) -> FilterScores:
        """The score of every filter in a round.

        Args:
            vector: Model that is scored, (size,).
            row: One row of the estimates, arrays (n,).
            streams: Random streams of the round.

        Returns:
            Scores by group, (width of the group,); larger is more important.
        """
        score = self.score.score
        if score == "random" or streams.round < self.score.random_rounds:
            rng = streams.generator("filters")
            return {name: rng.random(width) for name, width in self.structure.widths.items()}
        if score == "delta":
            return self._movement(row)
        return {
            name: np.sum(
                [self._of_tensor(entry, width, vector, row) for entry in self._tensors[name]],
                axis=0,
            )
            for name, width in self.structure.widths.items()
        }

    def sums(self, values: NDArray[np.floating] | NDArray[np.bool_]) -> FilterScores:
        """Sums over the weights of each filter.

        Args:
            values: One value for each weight, (parameter_size,).

        Returns:
            Sums by group, (width of the group,).
        """
        return {
            name: np.sum(
                [
                    _by_filter(values, entry, width).sum(axis=1, dtype=np.float64)
                    for entry in self._tensors[name]
                ],
                axis=0,
            )
            for name, width in self.structure.widths.items()
        }

    def _of_tensor(self, entry: Entry, width: int, vector: Vector, row: Estimates) -> Doubles:
        """The scores of one tensor's weights summed over each filter, (filters,)."""
        weights = _by_filter(vector, entry, width)
        curvature, gradient = None, None
        if self.score.uses_curvature:
            curvature = _Known.of(row.curvature, entry, width, 1.0)
        if self.score.score in ("paper", "taylor"):
            gradient = _Known.of(row.gradient, entry, width, 0.0)
        found = np.empty(width)
        at_once = max(1, _BLOCK // weights.shape[1])
        for first in range(0, width, at_once):
            rows = slice(first, first + at_once)
            found[rows] = self._of_weights(weights[rows], curvature, gradient, rows).sum(axis=1)
        return found

    def _of_weights(
        self, values: Vector, curvature: "_Known | None", gradient: "_Known | None", rows: slice
    ) -> Doubles:
        """The scores of the weights of some filters, (filters, weights of each)."""
        weights = values.astype(np.float64)
        if curvature is None:
            return np.abs(weights)
        second: Doubles = curvature.values(rows) * weights * weights
        if gradient is None:
            return second
        first: Doubles = gradient.values(rows) * weights
        return first + second if self.score.score == "paper" else second / 2 - first

    def _movement(self, row: Estimates) -> FilterScores:
        ends = np.cumsum(list(self.structure.widths.values()))[:-1]
        values = np.split(row.movement.value, ends)
        known = np.split(row.movement.known, ends)
        return {
            name: _Known(value, observed, _mean_of_known(value, observed, 0.0)).values(slice(None))
            for name, value, observed in zip(self.structure.widths, values, known, strict=True)
        }

    @cached_property
    def _tensors(self) -> dict[str, list[Entry]]:
        """The tensors whose rows are the filters of each group."""
        parameters = self.structure.layout.parameters
        dimensions = {entry.name.removesuffix(".weight"): len(entry.shape) for entry in parameters}
        tensors: dict[str, list[Entry]] = {name: [] for name in self.structure.widths}
        for entry in parameters:
            group = self.structure.owners.get((entry.name, 0))
            is_norm = dimensions[entry.name.rpartition(".")[0]] == 1
            if group is not None and (self.score.score_bn or not is_norm):
                tensors[group.name].append(entry)
        return tensors


def keep_best(scores: FilterScores, widths: Widths) -> SubModel:
    """The sub-model of the best filters of each group.

    Sub-models of the same scores are nested: fewer filters are a subset.

    Args:
        scores: Scores by group, (width of the group,); of equal filters the later ones are kept.
        widths: Filters to keep by group.

    Returns:
        Sub-model with `widths` filters.
    """
    ranked = ((name, np.argsort(values, kind="stable")) for name, values in scores.items())
    return SubModel(
        kept={
            name: tuple(np.sort(order[len(order) - widths[name] :]).tolist())
            for name, order in ranked
        }
    )


def _by_filter(values: NDArray[Any], entry: Entry, width: int) -> NDArray[Any]:
    """The values of one tensor, a row for each of `width` filters."""
    return values[entry.slice].reshape(width, -1)


@dataclass(frozen=True, eq=False)
class _Known:
    """Estimates of one tensor's weights, (filters, weights of each), and that of unknown ones."""

    value: NDArray[np.floating]
    known: NDArray[np.bool_]
    rest: float

    @classmethod
    def of(cls, means: RunningMean, entry: Entry, width: int, default: float) -> "_Known":
        """The known means of a tensor, elsewhere their mean; `default` where none is known."""
        value, known = (_by_filter(a, entry, width) for a in (means.value, means.known))
        return cls(value, known, _mean_of_known(value, known, default))

    def values(self, rows: slice) -> Doubles:
        return np.where(self.known[rows], self.value[rows].astype(np.float64), self.rest)


def _mean_of_known(value: NDArray[np.floating], known: NDArray[np.bool_], default: float) -> float:
    return float(value[known].mean(dtype=np.float64)) if known.any() else default
