"""Server-based training: a shared vector averaged over clients, personal vectors that stay with
them.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.aggregation import weighted_mean_over_holders
from training.arrays import Mask, Vector
from training.clients import ClientPool, RoundCosts, require_no_pruning
from training.engine.program import LocalResult, LocalWork, Program, personal_only, prunes
from training.server.method import ServerMethod
from training.server.state import ServerState
from training.sparsity.counts import prune_count
from training.sparsity.payload import BITS_PER_WEIGHT, upload_bits
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime, Trainer
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics


class ServerTrainer:
    """Training by a `ServerMethod` on data divided over `clients` clients (a
    `wirelessfl.protocols.Trainer`).

    Works are made and results used up one by one in the order of the clients, so that a round of a
    thousand clients holds the few models that the executor has under way, uploads that come late,
    and the personal part.
    """

    def __init__(self, method: ServerMethod, *, clients: int, seed: int, runtime: Runtime) -> None:
        self._method, self._clients = method, clients
        self._cohort = ClientPool(
            method.spec(), method.task, method.program, clients=clients, seed=seed, runtime=runtime
        )
        self._layout, self._executor = self._cohort.layout, self._cohort.executor
        self._weights = [float(size) if method.weighted else 1.0 for size in self._cohort.samples]
        self._demand = method.demand(clients, self._cohort.epoch_steps)

    def init(self, seed: int) -> ServerState:
        """The state before the first round: one seeded model, the same for all clients."""
        vector = self._cohort.initial_vector(seed)
        return ServerState.of(
            seed, 0, vector[self._layout.upload], np.tile(self._stays(vector), (self._clients, 1))
        )

    def demand(self, state: ServerState) -> Demand:
        """The same in every round, unless clients draw their work."""
        if not self._method.draws_work:
            return self._demand
        return self._method.demand(
            self._clients, self._cohort.epoch_steps, Streams(state.seed, state.round)
        )

    def step(
        self, state: ServerState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[ServerState, StepMetrics]:
        """One round: local programs, then the mean over holders ([WFL] eq. (15)) of what has
        arrived; ratios (K,).

        Who does not take part stays as it is and costs nothing. A client that keeps nothing (ratio
        1) takes its personal steps only and uploads nothing. A client whose upload is not delivered
        keeps its personal part; its upload is sent and paid for, and left out of the mean. A late
        one joins the mean of the round in which it arrives, as one more holder. Shared buffers are
        averaged with the rest.
        """
        ratios = self._check(pruning_ratio, delivery)
        size = self._layout.shared_size
        shares = delivery.participates & [prune_count(ratio, size) < size for ratio in ratios]
        streams = Streams(state.seed, state.round)
        whole = [
            self._method.program_of(client, streams, steps)
            for client, steps in enumerate(self._cohort.epoch_steps)
        ]
        programs = [
            program if share else personal_only(program) if here else ()
            for program, here, share in zip(whole, delivery.participates, shares, strict=True)
        ]
        late = state.still_late(delivery)
        personal, costs = state.personal.copy(), RoundCosts(self._clients)

        def arrivals() -> Iterator[tuple[Vector, Mask, float]]:
            """What joins the mean, as it arrives; on the way the clients' personal parts and costs
            are kept.
            """
            for client, (vector, mask) in sorted(
                state.late.items()
            ):  # a resumed run has them in this order
                if delivery.arrived_late[client]:
                    yield vector, mask, self._weights[client]
            for client, result in self._results(state, ratios, shares, programs):
                mask = result.mask if shares[client] else np.zeros_like(result.mask)
                upload = result.vector[self._layout.upload], mask
                personal[client] = self._stays(result.vector)
                costs.flops[client] = self._cohort.flops(client, programs[client], mask)
                costs.uplink_bits[client] = self._upload_bits(mask)
                costs.losses.append(result.loss)
                if delivery.late[client] and shares[client]:
                    late[client] = upload[0].copy(), mask
                if delivery.on_time[client]:
                    yield *upload, self._weights[client]

        shared = weighted_mean_over_holders(state.shared, arrivals())
        down = np.where(
            delivery.participates, float(BITS_PER_WEIGHT * self._layout.upload_size), 0.0
        )
        return ServerState.of(state.seed, state.round + 1, shared, personal, late), costs.metrics(
            down
        )

    def evaluate(self, state: ServerState) -> float:
        """Mean over clients of the accuracy of [u, v_k] on the client's test samples; u is dense."""
        one_model = not state.personal.size
        return self._cohort.accuracy(
            lambda client: state.client_vector(client, self._layout), one_model=one_model
        )

    def pack(self, state: ServerState) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        return state.pack()

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> ServerState:
        """The state that `pack` gave; `InputError` for arrays of another model or number of
        clients.
        """
        return ServerState.unpack(arrays, self._clients, self._layout)

    def close(self) -> None:
        """End worker processes."""
        self._cohort.close()

    def _results(
        self,
        state: ServerState,
        ratios: Array,
        shares: NDArray[np.bool_],
        programs: list[Program],
    ) -> Iterator[tuple[int, LocalResult]]:
        """Clients that do something, in order, with their results; who has no program keeps what it
        holds.
        """
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
                yield (
                    client,
                    LocalResult(
                        vector=state.client_vector(client, self._layout), mask=everything, loss=None
                    ),
                )

    def _stays(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """What stays with a client of its vector: personal weights and buffers."""
        return np.concatenate([vector[self._layout.personal], vector[self._layout.upload.stop :]])

    def _upload_bits(self, mask: NDArray[np.bool_]) -> float:
        weights, buffers = mask[: self._layout.shared_size], mask[self._layout.shared_size :]
        return upload_bits(weights, self._method.count_mask_bits) + upload_bits(
            buffers, count_mask_bits=False
        )

    def _check(self, pruning_ratio: Array, delivery: Delivery) -> Array:
        ratios = self._cohort.check(pruning_ratio, delivery)
        if not self._method.prunable:
            require_no_pruning(ratios, "that prunes nothing")
        between = (ratios > 0) & (ratios < 1)
        if between.any() and not prunes(self._method.program):
            raise InputError(
                f"training.importance_steps must be at least 1 to prune with ratio {ratios[between][0]:g}, got 0"
            )
        return ratios


class ServerBased(Protocol):
    """An algorithm that is a `ServerMethod`: demand and training follow from what its `method` says.

    A plug-in that names it as its base has `demand` and `trainer` and writes down fields, checks
    and `method`.
    """

    @property
    def method(self) -> ServerMethod:
        """The algorithm as a program for its clients."""
        ...

    def demand(self, clients: int) -> Demand:
        """Weight updates and bits of a round without pruning, from the model's shapes alone."""
        return self.method.demand(clients)

    def trainer(self, *, clients: int, seed: int, runtime: Runtime) -> Trainer:
        """Training on data divided over `clients` clients with `seed`."""
        return ServerTrainer(self.method, clients=clients, seed=seed, runtime=runtime)
