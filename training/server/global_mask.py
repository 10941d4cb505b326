"""Server-based training under one mask for all clients, which the server reconfigures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from training.aggregation import weighted_mean_over_holders
from training.arrays import Doubles, Mask, Vector, check_shapes
from training.clients import ClientPool, RoundCosts, check_client, require_no_pruning
from training.engine.program import LocalWork, Program
from training.engine.spec import EngineSpec
from training.engine.updates import updates
from training.method_based import MethodBased
from training.server.reconfiguration import Reconfigure
from training.server.state import ServerState
from training.server.time_model import TimeModel
from training.sparsity.payload import BITS_PER_WEIGHT
from training.state import StateTrainer, read_only
from training.structure.macs import layer_macs
from training.task import Task
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics


@dataclass(frozen=True, kw_only=True)
class GlobalMaskMethod:
    """Algorithm with one mask: the local program of its clients, and how the mask changes.

    Attributes:
        task: Data set, partition and model.
        program: Local training of a client; it sums gradients, the importance of the weights.
        reconfiguration: Schedule and rule of the mask.
        time: Assumed round time, against which importance is weighed.
        weighted: Whether means count clients by their samples.
    """

    task: Task
    program: Program
    reconfiguration: Reconfigure
    time: TimeModel
    weighted: bool = True

    def spec(self) -> EngineSpec:
        """The engine that trains the model."""
        return EngineSpec.of(self.task)

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        *,
        kept: int | None = None,
        round_index: int = 0,
    ) -> Demand:
        """Weight updates and bits of a round, all of them fixed.

        Bits are 32 for each weight kept and for each running statistic, up and down. Where
        reconfigurations count, 32 for each weight's importance are added to the upload in the round
        before a reconfiguration, and a bitmap to the download in the round after it. While client 0
        prunes alone the others are idle: it receives the model in the first of these rounds and
        sends it in the last.

        Args:
            clients: Number of clients K.
            epoch_steps: Steps in an epoch of each client, (K,); nominal ones if None.
            kept: Number of weights kept by the mask; all if None.
            round_index: Index of the round, from 0.

        Returns:
            Demand with arrays (K,).
        """
        _, layout = self.spec().build_model()
        if epoch_steps is None:
            epoch_steps = self.task.epoch_steps(clients, self.program)
        size = layout.parameter_size
        kept = size if kept is None else kept
        work = np.array([sum(updates(self.program, 0, kept, steps)) for steps in epoch_steps])
        upload = download = float(BITS_PER_WEIGHT * (kept + layout.shared_buffer_size))
        rule = self.reconfiguration
        alone = round_index < rule.initial_rounds
        receives = round_index == 0 or not alone
        sends = round_index + 1 >= rule.initial_rounds
        if rule.count_reconfiguration_bits and not alone:
            if rule.due(round_index):
                upload += BITS_PER_WEIGHT * size
            if round_index and (rule.due(round_index - 1) or round_index == rule.initial_rounds):
                download += size
        active = rule.training(round_index, clients)
        return Demand(
            fixed_updates=np.where(active, work, 0.0),
            prunable_updates=np.zeros(clients),
            fixed_upload_bits=np.where(active, upload if sends else 0.0, 0.0),
            prunable_upload_bits=np.zeros(clients),
            fixed_download_bits=np.where(active, download if receives else 0.0, 0.0),
        )


@dataclass(frozen=True, eq=False)
class GlobalMaskState:
    """Global model with its mask, and the importance gathered since the last change.

    Attributes:
        base: Global model, which is 0 where the mask is False, and uploads in transit.
        mask: True for the weights that are kept, (parameter_size,).
        importance: Sums of squared gradients, (parameter_size,).
    """

    base: ServerState
    mask: Mask
    importance: Doubles

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", read_only(self.mask))
        object.__setattr__(self, "importance", read_only(self.importance))

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
        return self.base.pack() | {"mask": self.mask, "importance": self.importance}

    def unpack(self, arrays: Mapping[str, NDArray[Any]]) -> "GlobalMaskState":
        """A packed state of the same shapes as this one.

        Args:
            arrays: Arrays that `pack` returned.

        Returns:
            The state that was packed.

        Raises:
            InputError: If the arrays are those of another model or number of clients.
        """
        base = self.base.unpack(arrays)
        check_shapes(arrays, {"mask": self.mask.shape, "importance": self.importance.shape})
        return GlobalMaskState(
            base, arrays["mask"].astype(np.bool_), arrays["importance"].astype(np.float64)
        )


class GlobalMaskTrainer(StateTrainer[GlobalMaskState]):
    """Training by a `GlobalMaskMethod` on data that are divided over clients.

    Args:
        method: The algorithm as data.
        clients: Number of clients K.
        seed: Seed of the partition.
        runtime: Device, executor and precision.
    """

    def __init__(
        self, method: GlobalMaskMethod, *, clients: int, seed: int, runtime: Runtime
    ) -> None:
        self._method = method
        self._pool = ClientPool(
            method.spec(), method.task, method.program, clients=clients, seed=seed, runtime=runtime
        )
        self._weights = [float(size) if method.weighted else 1.0 for size in self._pool.samples]
        parameters = self._pool.layout.parameters
        self._layers = [entry.slice for entry in parameters if len(entry.shape) > 1]
        self._constant_s, self._seconds = self._time()

    def init(self, seed: int) -> GlobalMaskState:
        """One seeded model of which everything is kept.

        Args:
            seed: Seed of the run, at least 0.

        Returns:
            The state before the first round.
        """
        size = self._pool.layout.parameter_size
        vector = self._pool.initial_vector(seed)
        base = ServerState.without_personal(seed, vector, self._pool.clients)
        return GlobalMaskState(base, np.ones(size, dtype=np.bool_), np.zeros(size))

    def demand(self, state: GlobalMaskState) -> Demand:
        """Demand of the coming round under the present mask.

        Args:
            state: State before the round.

        Returns:
            Demand with arrays (K,).
        """
        kept = int(np.count_nonzero(state.mask))
        return self._method.demand(
            self._pool.clients, self._pool.epoch_steps, kept=kept, round_index=state.round
        )

    def step(
        self, state: GlobalMaskState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[GlobalMaskState, StepMetrics]:
        """One round: masked local training, the mean of the delivered models, their importance.

        After it the mask may change: weights that it drops become 0, weights that return start at
        0. It stays while no importance has been delivered. A late upload joins the mean of the
        weights that both masks keep, and does not count in the importance.

        Args:
            state: State before the round.
            pruning_ratio: 0, or 1 for a client that is excluded, (K,).
            delivery: Outcome of the transmissions, arrays (K,).

        Returns:
            The state after the round, and its metrics.

        Raises:
            InputError: If a ratio is neither 0 nor 1.
        """
        base = state.base
        demand = self.demand(state)
        excluded = require_no_pruning(
            self._pool.check(pruning_ratio, delivery), "that prunes by a mask of its own"
        )
        active = self._method.reconfiguration.training(state.round, self._pool.clients)
        trains = np.flatnonzero(delivery.participates & ~excluded & active).tolist()
        buffers = np.ones(len(base.shared) - len(state.mask), dtype=np.bool_)
        kept = np.concatenate([state.mask, buffers])
        late = base.still_late(delivery)
        importance = state.importance.copy()
        costs = RoundCosts(self._pool.clients)

        def arrivals() -> Iterator[tuple[Vector, Mask, float]]:
            """Uploads in the order of the mean; costs and importance are recorded meanwhile."""
            # Sorted: a resumed run has its late uploads in this order.
            for client, upload in sorted(base.late.items()):
                if delivery.arrived_late[client]:
                    yield *upload, self._weights[client]
            results = self._pool.executor.train(self._works(state, trains))
            for client, result in zip(trains, results, strict=True):
                costs.uplink_bits[client] = demand.fixed_upload_bits[client]
                costs.flops[client] = self._pool.flops(
                    client, self._method.program, kept, masked=True
                )
                costs.losses.append(result.loss)
                if delivery.late[client]:
                    late[client] = result.vector.copy(), kept
                if delivery.on_time[client]:
                    squares = np.square(result.sums["gradient"], dtype=np.float64)
                    importance[:] += np.multiply(squares, self._weights[client], out=squares)
                    yield result.vector, kept, self._weights[client]

        shared = np.where(kept, weighted_mean_over_holders(base.shared, arrivals()), np.float32(0))
        mask = state.mask
        if self._method.reconfiguration.due(state.round) and importance.any():
            mask = self._reconfigured(state, shared, importance)
            importance = np.zeros_like(importance)
            shared[: len(mask)][~mask] = 0.0
        after = ServerState(base.seed, base.round + 1, shared, base.personal, late)
        downlink_bits = np.where(delivery.participates, demand.fixed_download_bits, 0.0)
        metrics = costs.metrics(downlink_bits, {"density": float(state.mask.mean())})
        return GlobalMaskState(after, mask, importance), metrics

    def evaluate(self, state: GlobalMaskState) -> float:
        """Mean over clients of the accuracy of the masked model on the client's test samples.

        Args:
            state: State after any round.

        Returns:
            Accuracy in [0, 1].
        """
        return self._pool.accuracy(lambda client: self.model(state, client), one_model=True)

    def model(self, state: GlobalMaskState, client: int | None = None) -> Vector:
        """The masked global model, the same for all clients, see `StateTrainer.model`.

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

    def _works(self, state: GlobalMaskState, clients: Sequence[int]) -> Iterator[LocalWork]:
        # Copies, because torch warns of read-only arrays.
        vector = state.shared.copy()
        mask = None if state.mask.all() else state.mask.copy()
        for client in clients:
            yield LocalWork(
                client=client,
                vector=vector,
                program=self._method.program,
                pruning_ratio=0.0,
                streams=Streams(state.base.seed, state.round),
                mask=mask,
            )

    def _reconfigured(self, state: GlobalMaskState, shared: Vector, importance: Doubles) -> Mask:
        return self._method.reconfiguration.mask(
            shared[: len(state.mask)],
            state.mask,
            importance,
            self._seconds,
            self._layers,
            constant_s=self._constant_s,
            round_index=state.round,
        )

    def _time(self) -> tuple[float, Doubles]:
        """Round time without maskable weights, and the time that each weight adds, (N,), in s.

        Both are those of the client with the longest dense round: FLOPs of a step per weight of a
        layer, and 2 x 32 bits for each weight.
        """
        pool = self._pool
        model, layout = self._method.spec().build_model()
        macs = layer_macs(model)
        first_layer = next(iter(macs))
        per_weight = np.zeros(layout.parameter_size)
        for entry in layout.parameters:
            if len(entry.shape) > 1:
                name = entry.name.removesuffix(".weight")
                # Forward and two backward passes; the first layer needs no gradient at its input.
                passes = 2 if name == first_layer else 3
                per_weight[entry.slice] = 2.0 * passes * macs.get(name, 0) / entry.size
        dense = np.ones(layout.upload_size, dtype=np.bool_)
        flops = np.array([pool.flops(k, self._method.program, dense) for k in range(pool.clients)])
        bits = np.full(pool.clients, 2.0 * BITS_PER_WEIGHT * layout.upload_size)
        slowest = int(np.argmax(self._method.time.seconds(flops, bits)))
        speed, rate = (values[slowest] for values in self._method.time.of(pool.clients))
        samples = flops[slowest] / per_weight.sum()
        unmasked = layout.upload_size - sum(layer.stop - layer.start for layer in self._layers)
        constant_s = self._method.time.assumed_constant_s + 2.0 * BITS_PER_WEIGHT * unmasked / rate
        return constant_s, per_weight * samples / speed + 2.0 * BITS_PER_WEIGHT / rate


class GlobalMaskBased(MethodBased[GlobalMaskMethod]):
    """Base of algorithm plug-ins that are described by a `GlobalMaskMethod`."""

    trainer_type = GlobalMaskTrainer
    runs_with: ClassVar[Mapping[str, str]] = {"allocation.method": "min-latency"}
