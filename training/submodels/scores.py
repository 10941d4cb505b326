"""Which filters matter: scores per filter, and the sub-model that keeps the best of every layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from training.arrays import Vector
from training.structure.layout import Entry
from training.structure.structure import Structure
from training.structure.submodel import SubModel, Widths
from training.submodels.estimates import Estimates, Floats, RoundStatistics, RunningMean, Sum
from wirelessfl.errors import InputError, check_choice, check_count, check_number
from wirelessfl.rng import Streams

ScoreName = Literal["curvature", "paper", "taylor", "l1", "delta", "random"]
Curvature = Literal["fisher", "secant", "exact-fisher"]
Scope = Literal["shared", "client"]

FilterScores = Mapping[str, Floats]


@dataclass(frozen=True, kw_only=True)
class FilterScore:
    """The importance of a filter: the sum over its weights w and its bias of one of these.

    `curvature`: h w^2, which is [CA-HFP] eq. (14) late in training, when gradients vanish.
    `taylor`: h w^2 / 2 - g w, the growth of the loss by [CA-HFP] eq. (14) when w is set to 0 (q =
    1). `paper`: g w + h w^2, as [CA-HFP] eq. (15) is printed. `l1`: |w|. `delta`: |sum_k p_k
    Delta_k| of the last round that held the filter. `random`. Gradient g and diagonal curvature h
    come from what the clients upload anyway: `curvature = "fisher"` is the clients' mean of (Delta
    / (eta' tau))^2, `"secant"` |g - g'| / |w - w'| from round to round, both as running means with
    factor `score_momentum`. `"exact-fisher"` has the clients send mean squared mini-batch
    gradients, which doubles the upload: a reference.

    The first `random_rounds` rounds keep random filters. With `score_scope = "client"` every client
    is scored by its own Delta alone, and the server holds estimates for each. `score_bn` counts the
    scale and shift of batch norm.

    With "fisher", h w^2 is (g w)^2 summed over clients: the squared first-order score.

    **Differs:** [CA-HFP] leaves open how g and h are estimated "from local model variations" (the
    estimators are ours), and [CA-HFP] eq. (15) has lost the minus and the 1/2 of [CA-HFP] eq. (14).
    A weight that nobody has held yet counts with the mean estimate of its tensor: with an estimate
    of 0 what the first, random masks left out would stay out for good.
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
                f"training.score_momentum must be below 1, got {self.score_momentum:g}"
            )

    @property
    def uses_curvature(self) -> bool:
        """Whether h is in the score."""
        return self.score in ("curvature", "paper", "taylor")

    @property
    def asks_clients(self) -> bool:
        """Whether clients measure and send squared gradients."""
        return self.uses_curvature and self.curvature == "exact-fisher"


@dataclass(frozen=True, eq=False)
class Scorer:
    """A `FilterScore` for one model: from weights and estimates to filters."""

    score: FilterScore
    structure: Structure

    def start(self, clients: int) -> Estimates:
        """The estimates before the first round: one row, or one for each client."""
        size, score = self.structure.layout.parameter_size, self.score
        return Estimates.nothing(
            clients if score.score_scope == "client" else 1,
            gradient=size if self._secant or score.score in ("paper", "taylor") else 0,
            curvature=size if score.uses_curvature else 0,
            movement=sum(self.structure.widths.values()) if score.score == "delta" else 0,
            last=size if self._secant else 0,
        )

    @property
    def learns(self) -> bool:
        """Whether the score needs estimates at all."""
        return self.score.score not in ("l1", "random")

    def observe(self, weights: Vector, effective_rate: float) -> RoundStatistics:
        """What a round of models that start at `weights` (parameter_size,) is gathered in."""
        wanted: dict[Sum, bool] = {
            "gradient": self._secant or self.score.score in ("paper", "taylor"),
            "square": self.score.uses_curvature and not self._secant,
            "movement": self.score.score == "delta",
        }
        return RoundStatistics(
            weights, effective_rate, [name for name, asked in wanted.items() if asked]
        )

    def learn(self, row: Estimates, seen: RoundStatistics) -> Estimates:
        """A row of the estimates after the models of a round."""
        moves = self.score.score == "delta"
        movement = (
            np.concatenate(list(self.sums(seen.movement()).values())) if moves else np.zeros(0)
        )
        held = (
            np.concatenate(list(self.sums(seen.seen).values())) > 0
            if moves
            else np.zeros(0, dtype=np.bool_)
        )
        return seen.update(
            row, self.score.score_momentum, secant=self._secant, filters=held, movement=movement
        )

    def filters(self, vector: Vector, row: Estimates, streams: Streams) -> FilterScores:
        """The score of every filter by group, for the model `vector` at the round of `streams`."""
        score = self.score.score
        if score == "random" or streams.round < self.score.random_rounds:
            draw = streams.generator("filters")
            return {name: draw.random(width) for name, width in self.structure.widths.items()}
        if score == "delta":
            return self._movement(row)
        return {
            name: np.sum(
                [
                    self._of_tensor(entry, width, vector, row).sum(axis=1)
                    for entry in self._tensors[name]
                ],
                axis=0,
            )
            for name, width in self.structure.widths.items()
        }

    def sums(self, values: NDArray[np.floating] | NDArray[np.bool_]) -> FilterScores:
        """`values` of all weights, (parameter_size,), summed over each filter."""
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

    def _of_tensor(self, entry: Entry, width: int, vector: Vector, row: Estimates) -> Floats:
        """The scores of one tensor's weights, (filters, weights of each)."""

        def estimated(values: RunningMean, start: float) -> Floats:
            return _or_mean(
                _by_filter(values.value, entry, width),
                _by_filter(values.known, entry, width),
                start,
            )

        weights = _by_filter(vector, entry, width).astype(np.float64)
        if self.score.score == "l1":
            return np.abs(weights)
        square: Floats = estimated(row.curvature, 1.0) * weights * weights
        if self.score.score == "curvature":
            return square
        first: Floats = estimated(row.gradient, 0.0) * weights
        return first + square if self.score.score == "paper" else square / 2 - first

    def _movement(self, row: Estimates) -> FilterScores:
        ends = np.cumsum(list(self.structure.widths.values()))[:-1]
        values, known = np.split(row.movement.value, ends), np.split(row.movement.known, ends)
        pairs = zip(self.structure.widths, values, known, strict=True)
        return {name: _or_mean(value, there, 0.0) for name, value, there in pairs}

    @property
    def _secant(self) -> bool:
        return self.score.uses_curvature and self.score.curvature == "secant"

    @cached_property
    def _tensors(self) -> dict[str, list[Entry]]:
        """The tensors whose rows are the filters of each group."""
        parameters = self.structure.layout.parameters
        dimensions = {entry.name.removesuffix(".weight"): len(entry.shape) for entry in parameters}
        found: dict[str, list[Entry]] = {name: [] for name in self.structure.widths}
        for entry in parameters:
            group = self.structure.owners.get((entry.name, 0))
            norm = dimensions[entry.name.rpartition(".")[0]] == 1
            if group is not None and (self.score.score_bn or not norm):
                found[group.name].append(entry)
        return found


def keep_best(scores: FilterScores, widths: Widths) -> SubModel:
    """The sub-model of the `widths` best filters of each group; of equals the later ones.

    Sub-models of one score are nested: fewer filters are a subset.
    """
    ranked = ((name, np.argsort(values, kind="stable")) for name, values in scores.items())
    return SubModel(
        kept={
            name: tuple(np.sort(order[len(order) - widths[name] :]).tolist())
            for name, order in ranked
        }
    )


def _by_filter(values: NDArray[Any], entry: Entry, width: int) -> NDArray[Any]:
    """The numbers of one tensor, a row for each of `width` filters."""
    return values[entry.slice].reshape(width, -1)


def _or_mean(value: NDArray[np.floating], known: NDArray[np.bool_], start: float) -> Floats:
    """Known values, elsewhere their mean; `start` where there are none."""
    rest = float(value[known].mean(dtype=np.float64)) if known.any() else start
    return np.where(known, value.astype(np.float64), rest)
