"""Server-based training: a shared vector averaged over clients, personal vectors that stay with them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from training.accounting import BITS_PER_WEIGHT, Accounting, upload_bits
from training.aggregate import weighted_mean_over_holders
from training.executors import check_device, make_executor
from training.federated_state import FederatedState
from training.masks import prune_count
from training.method import Method
from training.program import (
    EvaluationWork,
    LocalResult,
    LocalWork,
    Mask,
    Program,
    Vector,
    epoch_batches,
    personal_only,
    prunes,
)
from wirelessfl.errors import InputError, check_number
from wirelessfl.protocols import Runtime, Trainer
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics


class FederatedTrainer:
    """Training by a `Method` on data divided over `clients` clients (a `wirelessfl.protocols.Trainer`).

    Works are made and results used up one by one in the order of the clients, so that a round of a thousand clients
    holds the few models that the executor has under way, uploads that come late, and the personal part.
    """

    def __init__(self, method: Method, *, clients: int, seed: int, runtime: Runtime) -> None:
        spec = replace(
            method.spec(check_device(runtime.device)), precision=runtime.precision, deterministic=runtime.deterministic
        )
        self._method, self._clients = method, clients
        model, self._layout = spec.build_model()
        self._accounting = Accounting.of(model, self._layout)
        data = method.task.load(clients=clients, seed=seed, data_root=runtime.data_root)
        sizes = [len(index) for index in data.train_index]
        self._weights = [float(size) if method.weighted else 1.0 for size in sizes]
        self._batch_sizes = [min(method.task.batch_size, size) for size in sizes]
        self._epochs = [epoch_batches(size, method.task.batch_size, self._layout.smallest_batch) for size in sizes]
        self._epoch_steps = [len(epoch) for epoch in self._epochs]
        self._demand = method.demand(clients, self._epoch_steps)
        self._test_sets = [id(index) for index in data.test_index]  # clients with the same one share its vector
        self._executor = make_executor(spec, data, runtime, round_flops=self._dense_flops())

    def init(self, seed: int) -> FederatedState:
        """The state before the first round: one seeded model, the same for all clients."""
        check_number("run.seed", seed, at_least=0, at_most=np.iinfo(np.int64).max)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(Streams(seed).seed_for("model"))
            model, layout = self._method.spec().build_model()
        vector = layout.flatten(model).numpy()
        return FederatedState.of(seed, 0, vector[layout.upload], np.tile(self._stays(vector), (self._clients, 1)))

    def demand(self, state: FederatedState) -> Demand:
        """The same in every round, unless clients draw their work."""
        if not self._method.draws_work:
            return self._demand
        return self._method.demand(self._clients, self._epoch_steps, Streams(state.seed, state.round))

    def step(
        self, state: FederatedState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[FederatedState, StepMetrics]:
        """One round: local programs, then the mean over holders (15) of what has arrived; ratios (K,).

        Who does not take part stays as it is and costs nothing.
        A client that keeps nothing (ratio 1) takes its personal steps only and uploads nothing. A client whose upload
        is not delivered keeps its personal part; its upload is sent and paid for, and left out of the mean. A late one
        joins the mean of the round in which it arrives, as one more holder. Shared buffers are averaged with the rest.
        """
        ratios = self._check(pruning_ratio, delivery)
        size = self._layout.shared_size
        shares = delivery.here & [prune_count(ratio, size) < size for ratio in ratios]
        streams = Streams(state.seed, state.round)
        whole = [self._method.program_of(client, streams, steps) for client, steps in enumerate(self._epoch_steps)]
        programs = [
            program if share else personal_only(program) if here else ()
            for program, here, share in zip(whole, delivery.here, shares, strict=True)
        ]
        late = {k: upload for k, upload in state.late.items() if not delivery.earlier[k] and not delivery.now[k]}
        personal, costs = state.personal.copy(), _Costs(self._clients)

        def arrivals() -> Iterator[tuple[Vector, Mask, float]]:
            """What joins the mean, as it arrives; on the way the clients' personal parts and costs are kept."""
            for client, (vector, mask) in state.late.items():
                if delivery.earlier[client]:
                    yield vector, mask, self._weights[client]
            for client, result in self._results(state, ratios, shares, programs):
                mask = result.mask & shares[client]
                upload = result.vector[self._layout.upload], mask
                personal[client] = self._stays(result.vector)
                costs.flops[client] = self._flops(client, programs[client], mask)
                costs.uplink_bits[client] = self._upload_bits(mask)
                costs.losses.append(result.loss)
                if delivery.later[client] and shares[client]:
                    late[client] = upload[0].copy(), mask
                if delivery.now[client]:
                    yield *upload, self._weights[client]

        shared = weighted_mean_over_holders(state.shared, arrivals())
        down = np.where(delivery.here, float(BITS_PER_WEIGHT * self._layout.upload_size), 0.0)
        return FederatedState.of(state.seed, state.round + 1, shared, personal, late), costs.metrics(down)

    def evaluate(self, state: FederatedState) -> float:
        """Mean over clients of the accuracy of [u, v_k] on the client's test samples; u is dense."""
        different = list(range(self._clients))
        if not state.personal.size:  # one model, looked at once on each test set
            first = {test_set: client for client, test_set in reversed(list(enumerate(self._test_sets)))}
            different = [first[test_set] for test_set in self._test_sets]
        clients = sorted(set(different))
        works = (EvaluationWork(client=k, vector=state.client_vector(k, self._layout)) for k in clients)
        accuracy = dict(zip(clients, self._executor.evaluate(works), strict=True))
        return float(np.mean([accuracy[client] for client in different]))

    def pack(self, state: FederatedState) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        return state.pack()

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> FederatedState:
        """The state that `pack` gave; `InputError` for arrays of another model or number of clients."""
        return FederatedState.unpack(arrays, self._clients, self._layout)

    def close(self) -> None:
        """End worker processes."""
        self._executor.close()

    def _results(
        self, state: FederatedState, ratios: Array, shares: NDArray[np.bool_], programs: list[Program]
    ) -> Iterator[tuple[int, LocalResult]]:
        """Clients that do something, in order, with their results; who has no program keeps what it holds."""
        works = (
            LocalWork(
                client=client,
                vector=state.client_vector(client, self._layout),
                program=program,
                pruning_ratio=float(ratios[client]) if shares[client] else 0.0,
                streams=Streams(state.seed, state.round),
            )
            for client, program in enumerate(programs)
            if program
        )
        results = self._executor.train(works)
        everything = np.ones(self._layout.upload_size, dtype=np.bool_)
        for client, program in enumerate(programs):
            if program:
                yield client, next(results)
            elif shares[client]:
                yield client, LocalResult(vector=state.client_vector(client, self._layout), mask=everything, loss=None)

    def _stays(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """What stays with a client of its vector: personal weights and buffers."""
        return np.concatenate([vector[self._layout.personal], vector[self._layout.upload.stop :]])

    def _flops(self, client: int, program: Program, mask: NDArray[np.bool_]) -> float:
        return self._accounting.flops(program, mask, self._batch_sizes[client], epoch=self._epochs[client])

    def _dense_flops(self) -> float:
        """FLOPs of a round in which all clients take part and nothing is pruned."""
        dense = np.ones(self._layout.upload_size, dtype=np.bool_)

        @cache
        def flops(batch_size: int, epoch: tuple[int, ...]) -> float:  # a thousand clients have few different ones
            return self._accounting.flops(self._method.program, dense, batch_size, epoch=epoch)

        return sum(flops(size, tuple(epoch)) for size, epoch in zip(self._batch_sizes, self._epochs, strict=True))

    def _upload_bits(self, mask: NDArray[np.bool_]) -> float:
        weights, buffers = np.split(mask, [self._layout.shared_size])
        return upload_bits(weights, self._method.count_mask_bits) + upload_bits(buffers, count_mask_bits=False)

    def _check(self, pruning_ratio: Array, delivery: Delivery) -> Array:
        ratios = np.asarray(pruning_ratio, dtype=np.float64)
        named = (("pruning_ratio", ratios), *((f"delivery.{name}", array) for name, array in vars(delivery).items()))
        for name, array in named:
            if array.shape != (self._clients,):
                raise InputError(f"{name} must have shape ({self._clients},), got {array.shape}")
        outside = ~((ratios >= 0) & (ratios <= 1))
        if outside.any():
            raise InputError(f"pruning_ratio must be within 0 and 1, got {ratios[outside][0]:g}")
        between = (ratios > 0) & (ratios < 1)
        if between.any() and not self._method.prunable:
            raise InputError(
                f"pruning_ratio must be 0, or 1 for who is left out, in an algorithm that prunes nothing, got "
                f"{ratios[between][0]:g}: choose an allocation.method without it, such as min-latency"
            )
        if between.any() and not prunes(self._method.program):
            raise InputError(
                f"training.importance_steps must be at least 1 to prune with ratio {ratios[between][0]:g}, got 0"
            )
        return ratios


class ServerBased(Protocol):
    """An algorithm that is a `Method`: demand and training follow from what its `method` says.

    A plug-in that names it as its base has `demand` and `trainer` and writes down fields, checks and `method`.
    """

    @property
    def method(self) -> Method:
        """The algorithm as a program for its clients."""
        ...

    def demand(self, clients: int) -> Demand:
        """Weight updates and bits of a round without pruning, from the model's shapes alone."""
        return self.method.demand(clients)

    def trainer(self, *, clients: int, seed: int, runtime: Runtime) -> Trainer:
        """Training on data divided over `clients` clients with `seed`."""
        return FederatedTrainer(self.method, clients=clients, seed=seed, runtime=runtime)


class _Costs:
    """What a round costs and achieves, gathered client by client."""

    def __init__(self, clients: int) -> None:
        self.uplink_bits, self.flops = np.zeros(clients), np.zeros(clients)
        self.losses: list[float | None] = []

    def metrics(self, downlink_bits: Array) -> StepMetrics:
        """As the record of the round has it."""
        losses = [loss for loss in self.losses if loss is not None]
        return StepMetrics(
            loss=float(np.mean(losses)) if losses else None,
            uplink_bits=self.uplink_bits,
            downlink_bits=downlink_bits,
            flops=self.flops,
        )
