"""Server-based training of compact sub-models, and their reconstruction at the server."""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import tee

import numpy as np

from training.aggregation import weighted_mean_over_holders
from training.arrays import Mask, Vector
from training.clients import ClientPool, RoundCosts, check_client, require_no_pruning
from training.convergence.observers import Observer
from training.convergence.pruning_error import PruningError
from training.engine.program import LocalResult, LocalWork, Program
from training.method_based import MethodBased
from training.server.state import ServerState
from training.state import StateTrainer
from training.structure.submodel import SubModel, Widths
from training.submodels.bandit import Trials
from training.submodels.fusion import Fusion
from training.submodels.method import SubModelMethod
from training.submodels.places import Places, taken
from training.submodels.scores import FilterScores, Scorer, keep_best
from training.submodels.state import Learning, SubModelState
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics


class SubModelTrainer(StateTrainer[SubModelState]):
    """Training by a `SubModelMethod` on data that are divided over clients.

    Local work is created and results are consumed one by one in the order of the clients, as in
    `ServerTrainer`.

    Args:
        method: The algorithm as data.
        clients: Number of clients K.
        seed: Seed of the partition.
        runtime: Device, executor and precision.
    """

    def __init__(
        self, method: SubModelMethod, *, clients: int, seed: int, runtime: Runtime
    ) -> None:
        self._method = method
        self._structure = method.structure()
        self._pool = ClientPool(
            method.spec(), method.task, method.program, clients=clients, seed=seed, runtime=runtime
        )
        self._weights = [float(size) if method.weighted else 1.0 for size in self._pool.samples]
        self._programs = [method.programs(steps) for steps in self._pool.epoch_steps]
        self._demand = method.demand(clients, self._pool.epoch_steps)
        self._scorer = Scorer(method.score, self._structure)
        self._whole = SubModel.first(self._structure.widths)
        self._observer = Observer.of(
            method.task, method.spec(), method.bound_every, clients, seed, runtime
        )
        everything = np.ones(self._pool.layout.size, dtype=np.bool_)
        # FLOPs before a fusion, and after it on the whole network.
        self._dense_flops = [
            [self._pool.flops(client, program, everything) for program in programs]
            for client, programs in enumerate(self._programs)
        ]

    def init(self, seed: int) -> SubModelState:
        """One seeded model, without any estimates.

        Args:
            seed: Seed of the run, at least 0.

        Returns:
            The state before the first round.
        """
        clients = self._pool.clients
        base = ServerState.without_personal(seed, self._pool.initial_vector(seed), clients)
        trials = Trials.none(clients) if self._method.by_bandit else None
        return SubModelState(base, self._scorer.initial(clients), trials)

    def demand(self, state: SubModelState) -> Demand:
        """Demand of the coming round: constant, unless bandits choose the ratios.

        Args:
            state: State before the round.

        Returns:
            Demand with arrays (K,).
        """
        if not self._method.by_bandit:
            return self._demand
        return self._method.demand(
            self._pool.clients, self._pool.epoch_steps, self._filter_ratios(state)
        )

    def step(
        self, state: SubModelState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[SubModelState, StepMetrics]:
        """One round: sub-models, local programs, mean of the arrived models, new estimates.

        Non-participating clients, and clients with a ratio for which not even one filter of each
        layer fits, do not train. Estimates learn from models that are delivered in their own round.
        A late model is put back into the global model of the round in which it arrives; w_t has
        changed since it was sent, so the estimates exclude it.

        Args:
            state: State before the round.
            pruning_ratio: Pruning ratios within [0, 1], (K,); 0 or 1 in a method with ratios of its
                own.
            delivery: Outcome of the transmissions, arrays (K,).

        Returns:
            The state after the round, and its metrics.

        Raises:
            InputError: If a ratio is out of range.
        """
        base = state.base
        widths = self._widths(state, self._pool.check(pruning_ratio, delivery), delivery)
        subs = {} if self._method.fusion else self.sub_models(state, widths)
        places = Places(self._structure, subs.values() if self._few(state, subs) else [self._whole])
        start = taken(base.shared, places.held)
        everything = np.ones_like(start, dtype=np.bool_)
        late = base.still_late(delivery)
        costs = RoundCosts(self._pool.clients)
        downlink_bits = np.zeros(self._pool.clients)
        if self._method.dense_download:
            downlink_bits[delivery.participates] = self._structure.bits(self._whole)
        rate = self._method.effective_rate(base.round)
        learning = Learning(self._scorer, state, rate, places, start)
        error = None if self._observer is None else PruningError(start)

        def arrivals() -> Iterator[tuple[Vector, Mask, float]]:
            """Models in the order of the mean; costs and estimates are recorded meanwhile."""
            # Sorted: a resumed run has its late uploads in this order.
            for client, upload in sorted(base.late.items()):
                if delivery.arrived_late[client]:
                    yield *self._rebuilt(start, *upload), self._weights[client]
            works, begun = tee(self._works(state, widths, subs, places, start))
            for work, result in zip(begun, self._pool.executor.train(works), strict=True):
                client = work.client
                sub = work.sub or self._whole
                subs[client] = sub
                bits = self._structure.bits(sub)
                costs.uplink_bits[client] = bits + self._method.squares_bits(self._structure, sub)
                costs.flops[client] = self._flops(client, sub)
                costs.losses.append(result.loss)
                downlink_bits[client] = downlink_bits[client] or bits
                if delivery.late[client]:
                    late[client] = self._upload(places, result, sub, base.shared)
                if delivery.on_time[client]:
                    received = places.spread(result, sub, start)
                    learning.add(client, received, self._weights[client])
                    if error is not None:
                        error.add(received.vector, received.mask, self._weights[client])
                    if self._method.reconstruct == "residual":  # spread over w_t already
                        yield received.vector, everything, self._weights[client]
                    else:
                        rebuilt = self._rebuilt(start, received.vector, received.mask)
                        yield *rebuilt, self._weights[client]

        shared = base.shared.copy()
        shared[places.held] = weighted_mean_over_holders(start, arrivals())
        after = ServerState(base.seed, base.round + 1, shared, base.personal, late)
        extra = self._sizes(subs)
        if self._observer is not None and error is not None:
            weights = np.array(self._weights) / sum(self._weights)
            extra |= self._observer.shared(base.round, base.shared, weights)
            extra |= error.found(base.shared, shared, places.held)
        metrics = costs.metrics(downlink_bits, extra)
        trials = self._trials_after(state, subs, metrics)
        return SubModelState(after, learning.estimates(), trials), metrics

    def evaluate(self, state: SubModelState) -> float:
        """Mean over clients of the accuracy of the whole global model on their test samples.

        Args:
            state: State after any round.

        Returns:
            Accuracy in [0, 1].
        """
        return self._pool.accuracy(lambda client: self.model(state, client), one_model=True)

    def model(self, state: SubModelState, client: int | None = None) -> Vector:
        """The whole global model, the same for all clients, see `StateTrainer.model`.

        Args:
            state: State after any round.
            client: Index of a client, or None.

        Returns:
            Flat model, (size,).

        Raises:
            InputError: If there is no such client.
        """
        index = check_client(client, self._pool.clients, one_model=True)
        return state.base.client_vector(index, self._pool.layout)

    def close(self) -> None:
        """Release the executor and its worker processes."""
        self._pool.close()

    def sub_models(self, state: SubModelState, widths: Mapping[int, Widths]) -> dict[int, SubModel]:
        """Sub-models of the coming round: the best filters by score.

        Args:
            state: State before the round.
            widths: Filters to keep by group, for each client that trains.

        Returns:
            Sub-models by client.
        """
        streams = Streams(state.base.seed, state.round)

        def scores(row: int) -> FilterScores:
            return self._scorer.filters(state.shared, state.estimates.row(row), streams)

        if self._method.score.score_scope == "client":
            return {client: keep_best(scores(client), wanted) for client, wanted in widths.items()}
        if not widths:
            return {}
        shared = scores(0)
        best: dict[tuple[int, ...], SubModel] = {}  # one for each set of widths
        for wanted in widths.values():
            key = tuple(wanted.values())
            if key not in best:
                best[key] = keep_best(shared, wanted)
        return {client: best[tuple(wanted.values())] for client, wanted in widths.items()}

    def _widths(self, state: SubModelState, ratios: Array, delivery: Delivery) -> dict[int, Widths]:
        """Filters to keep by group, for each client that trains in the round."""
        filter_ratios = self._filter_ratios(state)
        if filter_ratios is not None:
            excluded = require_no_pruning(ratios, "whose ratios are its own")
            return {
                client: self._structure.uniform(ratio)
                for client, ratio in enumerate(filter_ratios.tolist())
                if delivery.participates[client] and not excluded[client]
            }
        widths: dict[int, Widths] = {}

        @cache
        def largest_of(kept: float) -> dict[str, int] | None:
            return self._structure.largest_within(bits_fraction=kept, flops_fraction=kept)

        for client in np.flatnonzero(delivery.participates).tolist():
            largest = largest_of(1.0 - float(ratios[client]))
            if largest is not None:
                widths[client] = largest
        return widths

    def _filter_ratios(self, state: SubModelState) -> Array | None:
        """The method's own ratios of the coming round."""
        streams = Streams(state.base.seed, state.base.round)
        return self._method.filter_ratios(self._pool.clients, state.trials, streams)

    def _trials_after(
        self, state: SubModelState, subs: Mapping[int, SubModel], metrics: StepMetrics
    ) -> Trials | None:
        """History of the bandits after a round."""
        chosen = self._filter_ratios(state)
        if state.trials is None or chosen is None:
            return None
        bits = metrics.uplink_bits + metrics.downlink_bits
        seconds = self._method.time.seconds(metrics.flops, bits)
        trained = np.isin(np.arange(self._pool.clients), list(subs))
        return state.trials.after(chosen, seconds, metrics.loss, trained)

    def _few(self, state: SubModelState, subs: Mapping[int, SubModel]) -> bool:
        """True if only the values of these sub-models can change in the round."""
        return bool(subs) and not state.base.late and self._method.reconstruct != "zero-fill"

    def _works(
        self,
        state: SubModelState,
        widths: Mapping[int, Widths],
        subs: Mapping[int, SubModel],
        places: Places,
        start: Vector,
    ) -> Iterator[LocalWork]:
        """Local work on the sub-models, in the order of the clients."""
        if self._method.fusion is None:
            pairs: Iterator[tuple[SubModel, Vector]] = (
                (sub, places.values(start, sub)) for sub in subs.values()
            )
        else:
            fused = self._fused(state, widths, self._method.fusion)
            pairs = ((sub, taken(vector, places.index(sub))) for sub, vector in fused)
        for client, (sub, vector) in zip(widths, pairs, strict=True):
            # The whole network is trained without the detour of a sub-model, as in `fedavg`.
            compact = None if sub == self._whole else sub
            yield self._work(state, client, vector, self._programs[client][1], compact)

    def _fused(
        self, state: SubModelState, widths: Mapping[int, Widths], fusion: Fusion
    ) -> Iterator[tuple[SubModel, Vector]]:
        """Sub-model and start vector of each client, after training and fusing the whole model."""
        streams = Streams(state.base.seed, state.round)
        row = state.estimates.row(0)
        shared = state.shared.copy()
        dense_programs = {client: self._programs[client][0] for client in widths}
        works = (
            self._work(state, client, shared, program)
            for client, program in dense_programs.items()
            if program
        )
        results = self._pool.executor.train(works)
        for client, program in dense_programs.items():
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
        """A client's values in the mean, and the mask of those that count."""
        if self._method.reconstruct == "holders" or mask.all():
            return vector, mask
        rest = shared if self._method.reconstruct == "residual" else np.float32(0)
        return np.where(mask, vector, rest), np.ones_like(mask)

    def _upload(
        self, places: Places, result: LocalResult, sub: SubModel, shared: Vector
    ) -> tuple[Vector, Mask]:
        """A client's values in a copy of the whole model w_t, (size,), and the mask of them."""
        vector, mask = shared.copy(), np.zeros(shared.size, dtype=np.bool_)
        received = places.spread(result, sub, vector[places.held])
        vector[places.held], mask[places.held] = received.vector, received.mask
        return vector, mask

    def _flops(self, client: int, sub: SubModel) -> float:
        """FLOPs before a fusion, and of the compact network, all of whose weights are trained."""
        before, whole = self._dense_flops[client]
        return before + whole * (self._structure.flops(sub) / self._structure.flops(self._whole))

    def _sizes(self, subs: Mapping[int, SubModel]) -> dict[str, float]:
        """Means over training clients of the fractions of parameters kept and filters omitted."""
        if not subs:
            return {}
        filters = sum(self._structure.widths.values())
        parameters = np.mean([self._structure.parameters(sub) for sub in subs.values()])
        widths = np.mean([sum(sub.widths.values()) for sub in subs.values()])
        return {
            "kept_share": float(parameters / self._pool.layout.parameter_size),
            "filter_ratio": float(1.0 - widths / filters),
        }


class SubModelBased(MethodBased[SubModelMethod]):
    """Base of algorithm plug-ins that are described by a `SubModelMethod`."""

    trainer_type = SubModelTrainer
