"""Server-based training of sub-models: clients get fewer filters, the server puts their models back
together.
"""

from collections.abc import Iterator, Mapping
from itertools import tee
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.aggregation import weighted_mean_over_holders
from training.arrays import Mask, Vector
from training.clients import ClientPool, RoundCosts, require_no_pruning
from training.engine.program import LocalWork, Program
from training.server.state import ServerState
from training.structure.submodel import SubModel, Widths
from training.submodels.bandit import Trials
from training.submodels.fusion import Fusion
from training.submodels.method import Reconstruct, SubModelMethod
from training.submodels.scores import FilterScores, Scorer, keep_best
from training.submodels.state import Learning, SubModelState
from wirelessfl.protocols import Runtime, Trainer
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics

__all__ = ["Reconstruct", "SubModelBased", "SubModelMethod", "SubModelState", "SubModelTrainer"]


class SubModelTrainer:
    """Training by a `SubModelMethod` on data divided over `clients` clients (a
    `wirelessfl.protocols.Trainer`).

    Works are made and results used up one by one in the order of the clients, as in
    `ServerTrainer`.
    """

    def __init__(
        self, method: SubModelMethod, *, clients: int, seed: int, runtime: Runtime
    ) -> None:
        self._method, self._structure = method, method.structure()
        self._cohort = ClientPool(
            method.spec(), method.task, method.program, clients=clients, seed=seed, runtime=runtime
        )
        self._weights = [float(size) if method.weighted else 1.0 for size in self._cohort.samples]
        self._programs = [method.programs(steps) for steps in self._cohort.epoch_steps]
        self._demand = method.demand(clients, self._cohort.epoch_steps)
        self._scorer = Scorer(method.score, self._structure)
        self._everything = np.ones(self._cohort.layout.size, dtype=np.bool_)
        self._whole = SubModel.first(self._structure.widths)

    def init(self, seed: int) -> SubModelState:
        """The state before the first round: one seeded model, nothing known about it."""
        vector = self._cohort.initial_vector(seed)
        base = ServerState.of(
            seed, 0, vector, np.zeros((self._cohort.clients, 0), dtype=np.float32)
        )
        trials = Trials.none(self._cohort.clients) if self._method.by_bandit else None
        return SubModelState(base, self._scorer.start(self._cohort.clients), trials)

    def demand(self, state: SubModelState) -> Demand:
        """The same in every round, unless bandits choose."""
        if not self._method.by_bandit:
            return self._demand
        return self._method.demand(
            self._cohort.clients, self._cohort.epoch_steps, self._filter_ratios(state)
        )

    def step(
        self, state: SubModelState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[SubModelState, StepMetrics]:
        """One round: sub-models, local programs, the mean of what has arrived, new estimates;
        ratios (K,).

        Who does not take part, or gets a ratio for which not even one filter a layer fits, trains
        nothing. Estimates learn from what is delivered in its own round. A late model is put back
        into the model of the round in which it arrives; w_t has moved on since it left, so the
        estimates leave it out.
        """
        base = state.base
        widths = self._widths(state, self._cohort.check(pruning_ratio, delivery), delivery)
        subs: dict[int, SubModel] = {}
        late = base.still_late(delivery)
        costs, down = RoundCosts(self._cohort.clients), np.zeros(self._cohort.clients)
        if self._method.dense_download:
            down[delivery.participates] = self._structure.bits(self._whole)
        learning = Learning(self._scorer, state, self._method.effective_rate)

        def arrivals() -> Iterator[tuple[Vector, Mask, float]]:
            """What joins the mean, as it arrives; on the way costs and estimates are kept."""
            for client, upload in sorted(base.late.items()):  # a resumed run has them in this order
                if delivery.arrived_late[client]:
                    yield *self._rebuilt(base.shared, *upload), self._weights[client]
            works, begun = tee(self._works(state, widths))
            for work, result in zip(begun, self._cohort.executor.train(works), strict=True):
                client, sub = work.client, work.sub or self._whole
                subs[client] = sub
                bits = self._structure.bits(sub)
                costs.uplink_bits[client] = bits + self._method.squares_bits(self._structure, sub)
                costs.flops[client] = self._flops(client, sub)
                costs.losses.append(result.loss)
                down[client] = down[client] or bits
                if delivery.late[client]:
                    late[client] = result.vector.copy(), result.mask.copy()
                if delivery.on_time[client]:
                    learning.add(client, result, self._weights[client])
                    yield (
                        *self._rebuilt(base.shared, result.vector, result.mask),
                        self._weights[client],
                    )

        shared = weighted_mean_over_holders(base.shared, arrivals())
        after = ServerState.of(base.seed, base.round + 1, shared, base.personal, late)
        metrics = costs.metrics(down, self._sizes(subs))
        return SubModelState(
            after, learning.estimates(), self._tried(state, subs, metrics)
        ), metrics

    def evaluate(self, state: SubModelState) -> float:
        """Mean over clients of the accuracy of the whole global model on the client's test samples."""
        return self._cohort.accuracy(
            lambda client: state.base.client_vector(client, self._cohort.layout), one_model=True
        )

    def pack(self, state: SubModelState) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        return (
            state.base.pack()
            | state.estimates.pack()
            | (state.trials.pack() if state.trials else {})
        )

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> SubModelState:
        """The state that `pack` gave; `InputError` for arrays of another model, number of clients
        or score.
        """
        base = ServerState.unpack(arrays, self._cohort.clients, self._cohort.layout)
        trials = Trials.unpack(arrays, self._cohort.clients) if self._method.by_bandit else None
        return SubModelState(base, self._scorer.start(self._cohort.clients).unpack(arrays), trials)

    def close(self) -> None:
        """End worker processes."""
        self._cohort.close()

    def sub_models(self, state: SubModelState, widths: Mapping[int, Widths]) -> dict[int, SubModel]:
        """The filters of the clients with these widths in the coming round: the best by score."""
        streams, own = (
            Streams(state.base.seed, state.round),
            self._method.score.score_scope == "client",
        )

        def scores(row: int) -> FilterScores:
            return self._scorer.filters(state.shared, state.estimates.row(row), streams)

        shared = None if own or not widths else scores(0)
        return {
            k: keep_best(scores(k) if shared is None else shared, wanted)
            for k, wanted in widths.items()
        }

    def _widths(self, state: SubModelState, ratios: Array, delivery: Delivery) -> dict[int, Widths]:
        """Who trains in this round, and how many filters."""
        widths: dict[int, Widths] = {}
        filter_ratios = self._filter_ratios(state)
        if filter_ratios is not None:
            left_out = require_no_pruning(ratios, "whose ratios are its own")
            widths = {
                k: self._structure.uniform(ratio)
                for k, ratio in enumerate(filter_ratios.tolist())
                if delivery.participates[k] and not left_out[k]
            }
        else:
            for k in np.flatnonzero(delivery.participates).tolist():
                kept = 1.0 - float(ratios[k])
                fits = self._structure.largest_within(bits_fraction=kept, flops_fraction=kept)
                if fits is not None:
                    widths[k] = fits
        return widths

    def _filter_ratios(self, state: SubModelState) -> Array | None:
        """The method's own ratios of the coming round."""
        return self._method.filter_ratios(
            self._cohort.clients, state.trials, Streams(state.base.seed, state.base.round)
        )

    def _tried(
        self, state: SubModelState, subs: Mapping[int, SubModel], metrics: StepMetrics
    ) -> Trials | None:
        """What bandits know after a round."""
        chosen = self._filter_ratios(state)
        if state.trials is None or chosen is None:
            return None
        seconds = self._method.time.seconds(
            metrics.flops, metrics.uplink_bits + metrics.downlink_bits
        )
        trained = np.isin(np.arange(self._cohort.clients), list(subs))
        return state.trials.after(chosen, seconds, metrics.loss, trained)

    def _works(self, state: SubModelState, widths: Mapping[int, Widths]) -> Iterator[LocalWork]:
        """The clients' works on their sub-models, in order."""
        if self._method.fusion is None:
            subs, shared = self.sub_models(state, widths), state.shared.copy()
            pairs: Iterator[tuple[SubModel, Vector]] = ((sub, shared) for sub in subs.values())
        else:
            pairs = self._fused(state, widths, self._method.fusion)
        for client, (sub, vector) in zip(widths, pairs, strict=True):
            whole = sub == self._whole  # then the whole network, as federated averaging trains it
            yield self._work(
                state, client, vector, self._programs[client][1], None if whole else sub
            )

    def _fused(
        self, state: SubModelState, widths: Mapping[int, Widths], fusion: Fusion
    ) -> Iterator[tuple[SubModel, Vector]]:
        """Each client's own filters and model, once it has trained the whole one and fused it with
        the global one.
        """
        streams, row, shared = (
            Streams(state.base.seed, state.round),
            state.estimates.row(0),
            state.shared.copy(),
        )
        before = {client: self._programs[client][0] for client in widths}
        works = (
            self._work(state, client, shared, program)
            for client, program in before.items()
            if program
        )
        results = self._cohort.executor.train(works)
        for client, program in before.items():
            vector = fusion.fused(shared, next(results).vector, state.round) if program else shared
            yield keep_best(self._scorer.filters(vector, row, streams), widths[client]), vector

    def _work(
        self,
        state: SubModelState,
        client: int,
        vector: Vector,
        program: Program,
        sub: SubModel | None = None,
    ) -> LocalWork:
        return LocalWork(
            client=client,
            vector=vector,
            program=program,
            pruning_ratio=0.0,
            streams=Streams(state.base.seed, state.round),
            sub=sub,
        )

    def _rebuilt(self, shared: Vector, vector: Vector, mask: Mask) -> tuple[Vector, Mask]:
        """A client's numbers (size,) as they join the mean, and the mask of those that count."""
        if self._method.reconstruct == "holders":
            return vector, mask
        rest = shared if self._method.reconstruct == "residual" else np.float32(0)
        return np.where(mask, vector, rest), self._everything

    def _flops(self, client: int, sub: SubModel) -> float:
        """Those of the compact network, every step being on all of its weights, and what comes
        before a fusion.
        """
        before, dense = (
            self._cohort.flops(client, part, self._everything) for part in self._programs[client]
        )
        return before + dense * (self._structure.flops(sub) / self._structure.flops(self._whole))

    def _sizes(self, subs: Mapping[int, SubModel]) -> dict[str, float]:
        """Mean share of the parameters that the round's clients keep, and of the filters that they
        leave out.
        """
        if not subs:
            return {}
        layout, filters = self._cohort.layout, sum(self._structure.widths.values())
        kept = (
            np.mean([self._structure.parameters(sub) for sub in subs.values()])
            / layout.parameter_size
        )
        left = np.mean([sum(sub.widths.values()) for sub in subs.values()]) / filters
        return {"kept_share": float(kept), "filter_ratio": float(1.0 - left)}


class SubModelBased(Protocol):
    """An algorithm that is a `SubModelMethod`: demand and training follow from what its `method` says.

    A plug-in that names it as its base has `demand` and `trainer` and writes down fields, checks
    and `method`.
    """

    @property
    def method(self) -> SubModelMethod:
        """The algorithm as a program for its clients and the filters that they get."""
        ...

    def demand(self, clients: int) -> Demand:
        """Weight updates and bits of a round, from the model's shapes alone."""
        return self.method.demand(clients)

    def trainer(self, *, clients: int, seed: int, runtime: Runtime) -> Trainer:
        """Training on data divided over `clients` clients with `seed`."""
        return SubModelTrainer(self.method, clients=clients, seed=seed, runtime=runtime)
