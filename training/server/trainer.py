"""Server-based training: a shared vector averaged over clients, and personal vectors."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from training.aggregation import weighted_mean_over_holders
from training.arrays import Mask, Vector
from training.clients import ClientPool, RoundCosts, check_client, require_no_pruning
from training.convergence.observers import Observer
from training.engine.optimizer import Moments
from training.engine.program import (
    LocalResult,
    LocalWork,
    Program,
    kept_optimizer,
    personal_only,
    prunes,
)
from training.server.method import ServerMethod
from training.server.state import KeptMoments, ServerState
from training.sparsity.counts import prune_count
from training.sparsity.payload import BITS_PER_WEIGHT, upload_bits
from training.state import StateTrainer
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics


class ServerTrainer(StateTrainer[ServerState]):
    """Training by a `ServerMethod` on data that are divided over clients.

    Local work is created and results are consumed one by one in the order of the clients, so that
    a round of a thousand clients holds only the models that the executor has in progress, late
    uploads and the personal part.

    Args:
        method: The algorithm as data.
        clients: Number of clients K.
        seed: Seed of the partition.
        runtime: Device, executor and precision.
    """

    def __init__(self, method: ServerMethod, *, clients: int, seed: int, runtime: Runtime) -> None:
        self._method = method
        self._clients = clients
        self._pool = ClientPool(
            method.spec(), method.task, method.program, clients=clients, seed=seed, runtime=runtime
        )
        self._layout = self._pool.layout
        self._weights = [float(size) if method.weighted else 1.0 for size in self._pool.samples]
        self._demand = method.demand(clients, self._pool.epoch_steps)
        self._observer = Observer.of(
            method.task, method.spec(), method.bound_every, clients, seed, runtime
        )

    def init(self, seed: int) -> ServerState:
        """One seeded model, the same for all clients.

        Args:
            seed: Seed of the run, at least 0.

        Returns:
            The state before the first round.
        """
        vector = self._pool.initial_vector(seed)
        personal = np.tile(self._personal(vector), (self._clients, 1))
        optimizer = kept_optimizer(self._method.program)
        kept = (
            None
            if optimizer is None
            else KeptMoments.initial(optimizer, self._clients, self._layout.parameter_size)
        )
        return ServerState(seed, 0, vector[self._layout.upload], personal, kept=kept)

    def demand(self, state: ServerState) -> Demand:
        """Demand of the coming round: constant, unless clients draw their work.

        Args:
            state: State before the round.

        Returns:
            Demand with arrays (K,).
        """
        if not self._method.draws_work:
            return self._demand
        streams = Streams(state.seed, state.round)
        return self._method.demand(self._clients, self._pool.epoch_steps, streams)

    def step(
        self, state: ServerState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[ServerState, StepMetrics]:
        """One round: local programs, then the mean over holders, [WFL] eq. (15).

        Non-participating clients keep their state at no cost. A client with ratio 1 takes its
        personal steps only and uploads nothing. A client whose upload is lost keeps its personal
        part; its upload is transmitted and counted, and excluded from the mean. Uploads may be
        rounded (`UploadPrecision`). A late upload joins
        the mean of the round in which it arrives, as one more holder. Shared buffers are averaged
        with the weights.

        Args:
            state: State before the round.
            pruning_ratio: Pruning ratios rho_k within [0, 1], (K,).
            delivery: Outcome of the transmissions, arrays (K,).

        Returns:
            The state after the round, and its metrics.

        Raises:
            InputError: If a ratio is out of range or above 0 in a method that does not prune.
        """
        ratios = self._check(pruning_ratio, delivery)
        size = self._layout.shared_size
        keeps = np.array([prune_count(ratio, size) < size for ratio in ratios])
        uploads = delivery.participates & keeps
        programs = self._programs(state, delivery.participates, uploads)
        late = state.still_late(delivery)
        personal = state.personal.copy()
        moments: dict[int, Moments] = {}
        masks: dict[int, Mask] = {}
        costs = RoundCosts(self._clients)

        def arrivals() -> Iterator[tuple[Vector, Mask, float]]:
            """Uploads in the order of the mean; personal parts and costs are recorded meanwhile."""
            # Sorted: a resumed run has its late uploads in this order.
            for client, (vector, mask) in sorted(state.late.items()):
                if delivery.arrived_late[client]:
                    yield vector, mask, self._weights[client]
            for client, result in self._results(state, ratios, uploads, programs):
                mask = result.mask if uploads[client] else np.zeros_like(result.mask)
                vector = self._received(state, client, result, mask)
                personal[client] = self._personal(result.vector)
                if result.moments is not None:
                    moments[client] = result.moments
                costs.flops[client] = self._pool.flops(client, programs[client], mask)
                costs.uplink_bits[client] = self._upload_bits(mask)
                costs.losses.append(result.loss)
                if delivery.late[client] and uploads[client]:
                    late[client] = vector.copy(), mask
                if delivery.on_time[client]:
                    if self._observer is not None and uploads[client]:
                        masks[client] = mask[:size]
                    yield vector, mask, self._weights[client]

        shared = weighted_mean_over_holders(state.shared, arrivals())
        dense_bits = float(BITS_PER_WEIGHT * self._layout.upload_size)
        downlink_bits = np.where(delivery.participates, dense_bits, 0.0)
        kept = None if state.kept is None else state.kept.after(moments)
        after = ServerState(state.seed, state.round + 1, shared, personal, late, kept)
        return after, costs.metrics(downlink_bits, self._observed(state, personal, masks, ratios))

    def evaluate(self, state: ServerState) -> float:
        """Mean over clients of the accuracy of [u, v_k] on the client's test samples; u is dense.

        Args:
            state: State after any round.

        Returns:
            Accuracy in [0, 1].
        """
        one_model = not state.personal.size
        return self._pool.accuracy(lambda client: self.model(state, client), one_model=one_model)

    def model(self, state: ServerState, client: int | None = None) -> Vector:
        """The model [u, v_k] of a client, see `StateTrainer.model`; global without personal parts.

        Args:
            state: State after any round.
            client: Index of the client; None for the global model.

        Returns:
            Flat model, (size,).

        Raises:
            InputError: If there is no such client, or no global model.
        """
        index = check_client(client, self._clients, one_model=not state.personal.size)
        return state.client_vector(index, self._layout)

    def close(self) -> None:
        """Release the executor and its worker processes."""
        self._pool.close()

    def _observed(
        self,
        state: ServerState,
        personal: NDArray[np.float32],
        masks: Mapping[int, Mask],
        ratios: Array,
    ) -> dict[str, float]:
        """The quantities of [WFL] eq. (31) in the round from `state`, where they are measured."""
        if self._observer is None:
            return {}
        middle = replace(state, personal=personal)
        return self._observer.personalised(
            state.round,
            lambda client: state.client_vector(client, self._layout),
            lambda client: middle.client_vector(client, self._layout),
            masks,
            ratios,
        )

    def _programs(
        self, state: ServerState, participates: NDArray[np.bool_], uploads: NDArray[np.bool_]
    ) -> list[Program]:
        """Programs of all clients in the round; an empty one for non-participating clients."""
        streams = Streams(state.seed, state.round)
        programs: list[Program] = []
        for client, epoch_steps in enumerate(self._pool.epoch_steps):
            program = self._method.program_of(client, streams, epoch_steps)
            if not uploads[client]:
                program = personal_only(program) if participates[client] else ()
            programs.append(program)
        return programs

    def _results(
        self,
        state: ServerState,
        ratios: Array,
        uploads: NDArray[np.bool_],
        programs: list[Program],
    ) -> Iterator[tuple[int, LocalResult]]:
        """Active clients in order with their results; without a program the model is unchanged."""
        works = (
            LocalWork(
                client=client,
                vector=state.client_vector(client, self._layout),
                program=program,
                pruning_ratio=float(ratios[client]) if uploads[client] else 0.0,
                streams=Streams(state.seed, state.round),
                moments=None if state.kept is None else state.kept.of(client),
            )
            for client, program in enumerate(programs)
            if program
        )
        results = self._pool.executor.train(works)
        everything = np.ones(self._layout.upload_size, dtype=np.bool_)
        for client, program in enumerate(programs):
            if program:
                yield client, next(results)
            elif uploads[client]:
                unchanged = state.client_vector(client, self._layout)
                yield client, LocalResult(vector=unchanged, mask=everything, loss=None)

    def _personal(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Personal weights and buffers of a client's vector."""
        return np.concatenate([vector[self._layout.personal], vector[self._layout.upload.stop :]])

    def _received(self, state: ServerState, client: int, result: LocalResult, mask: Mask) -> Vector:
        """Shared values of a client as the server receives them."""
        vector = result.vector[self._layout.upload]
        if not self._method.upload.quantises:
            return vector
        return self._method.upload.received(
            vector,
            state.shared,
            mask,
            self._layout.shared_tensors,
            Streams(state.seed, state.round).generator("quantisation", client),
        )

    def _upload_bits(self, mask: Mask) -> float:
        weights = mask[: self._layout.shared_size]
        buffers = mask[self._layout.shared_size :]
        method = self._method
        scales = method.upload.overhead_bits(len(self._layout.shared_tensors))
        return (
            upload_bits(weights, method.count_mask_bits, method.upload.bits_per_weight)
            + upload_bits(buffers, count_mask_bits=False)
            + (scales if weights.any() else 0.0)
        )

    def _check(self, pruning_ratio: Array, delivery: Delivery) -> Array:
        ratios = self._pool.check(pruning_ratio, delivery)
        if not self._method.prunable:
            require_no_pruning(ratios, "that prunes nothing")
        between = (ratios > 0) & (ratios < 1)
        if between.any() and not prunes(self._method.program):
            raise InputError(
                "training.importance_steps must be at least 1 to prune with ratio "
                f"{ratios[between][0]:g}, got 0"
            )
        return ratios
