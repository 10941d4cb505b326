"""Server-based training under one mask for all clients, which the server changes now and then."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from training.aggregation import weighted_mean_over_holders
from training.arrays import Mask, Vector, check_shapes
from training.clients import ClientPool, RoundCosts, require_no_pruning
from training.engine.accounting import updates
from training.engine.engine import EngineSpec
from training.engine.program import LocalWork, Program, in_epochs
from training.server.reconfiguration import Floats, Reconfigure
from training.server.state import ServerState
from training.server.time_model import TimeModel
from training.sparsity.payload import BITS_PER_WEIGHT
from training.structure.macs import layer_macs
from training.task import Task
from wirelessfl.protocols import Runtime, Trainer
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics


@dataclass(frozen=True, kw_only=True)
class GlobalMaskMethod:
    """What makes an algorithm with one mask: its task, its clients' program, when and how the mask
    changes.

    The program sums gradients, by which the weights are judged, in seconds of the time model.
    """

    task: Task
    program: Program
    reconfiguration: Reconfigure
    time: TimeModel
    weighted: bool = True

    def spec(self) -> EngineSpec:
        """The engine that trains it."""
        return EngineSpec(
            model=self.task.model,
            form=self.task.form,
            personalised=False,
            batch_size=self.task.batch_size,
            device="cpu",
        )

    def demand(
        self,
        clients: int,
        epoch_steps: Sequence[int] | None = None,
        *,
        kept: int | None = None,
        round: int = 0,
    ) -> Demand:
        """Weight updates and bits of round `round` (from 0) with `kept` weights (all of them
        without); all is fixed.

        Bits are 32 for each weight kept and for each running statistic, up and down. Where
        reconfigurations count, 32 for each weight's importance go up in the round before one and a
        bitmap comes down in the round after it. While client 0 prunes alone nobody else has
        anything to do: it gets the model at the start and sends it at the end.
        """
        _, layout = self.spec().build_model()
        if epoch_steps is None:
            epoch_steps = [
                self.task.nominal_epoch(clients) if in_epochs(self.program) else 0
            ] * clients
        kept = layout.parameter_size if kept is None else kept
        work = np.array([sum(updates(self.program, 0, kept, steps)) for steps in epoch_steps])
        change, weights = self.reconfiguration, layout.parameter_size
        up = down = float(BITS_PER_WEIGHT * (kept + layout.shared_buffer_size))
        alone = round < change.initial_rounds
        first, last = round == 0 or not alone, round + 1 >= change.initial_rounds
        if change.count_reconfiguration_bits and not alone:
            up += BITS_PER_WEIGHT * weights if change.due(round) else 0
            down += (
                weights
                if round and (change.due(round - 1) or round == change.initial_rounds)
                else 0
            )
        here = change.training(round, clients)
        return Demand(
            fixed_updates=np.where(here, work, 0.0),
            prunable_updates=np.zeros(clients),
            fixed_upload_bits=np.where(here, up if last else 0.0, 0.0),
            prunable_upload_bits=np.zeros(clients),
            fixed_download_bits=np.where(here, down if first else 0.0, 0.0),
        )


@dataclass(frozen=True, eq=False)
class GlobalMaskState:
    """The global model, which is 0 where the mask is False, and what the weights have meant since
    the last change.

    `mask` and `importance` (sums of squared gradients) are (parameter_size,).
    """

    base: ServerState
    mask: Mask
    importance: Floats

    @property
    def round(self) -> int:
        """Rounds done."""
        return self.base.round

    @property
    def shared(self) -> Vector:
        """The global model, (size,)."""
        return self.base.shared


class GlobalMaskTrainer:
    """Training by a `GlobalMaskMethod` on data divided over `clients` clients (a
    `wirelessfl.protocols.Trainer`).
    """

    def __init__(
        self, method: GlobalMaskMethod, *, clients: int, seed: int, runtime: Runtime
    ) -> None:
        self._method = method
        self._cohort = ClientPool(
            method.spec(), method.task, method.program, clients=clients, seed=seed, runtime=runtime
        )
        self._weights = [float(size) if method.weighted else 1.0 for size in self._cohort.samples]
        layout = self._cohort.layout
        self._layers = [entry.slice for entry in layout.parameters if len(entry.shape) > 1]
        self._constant_s, self._seconds = self._time()

    def init(self, seed: int) -> GlobalMaskState:
        """The state before the first round: one seeded model of which everything is kept."""
        size, vector = self._cohort.layout.parameter_size, self._cohort.initial_vector(seed)
        base = ServerState.of(
            seed, 0, vector, np.zeros((self._cohort.clients, 0), dtype=np.float32)
        )
        return GlobalMaskState(base, np.ones(size, dtype=np.bool_), np.zeros(size))

    def demand(self, state: GlobalMaskState) -> Demand:
        """What the round asks of the network with the mask as it is."""
        kept = int(np.count_nonzero(state.mask))
        return self._method.demand(
            self._cohort.clients, self._cohort.epoch_steps, kept=kept, round=state.round
        )

    def step(
        self, state: GlobalMaskState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[GlobalMaskState, StepMetrics]:
        """One round: masked local training, the mean of what has arrived, the importance of what
        was delivered.

        After it the mask may change: what it drops becomes 0, what it brings back starts at 0. It
        stays while nothing has been delivered that tells the weights apart. A late upload joins the
        mean of the weights that both masks keep, and tells nothing about importance. Ratios (K,)
        must be 0 or 1 (who is left out).
        """
        base, asked = state.base, self.demand(state)
        left_out = require_no_pruning(
            self._cohort.check(pruning_ratio, delivery), "that prunes by a mask of its own"
        )
        turns = self._method.reconfiguration.training(state.round, self._cohort.clients)
        trains = np.flatnonzero(delivery.participates & ~left_out & turns).tolist()
        held = np.concatenate(
            [state.mask, np.ones(len(base.shared) - len(state.mask), dtype=np.bool_)]
        )
        late, importance, costs = (
            base.still_late(delivery),
            state.importance.copy(),
            RoundCosts(self._cohort.clients),
        )

        def arrivals() -> Iterator[tuple[Vector, Mask, float]]:
            """What joins the mean, as it arrives; on the way costs and importance are kept."""
            for client, upload in sorted(base.late.items()):  # a resumed run has them in this order
                if delivery.arrived_late[client]:
                    yield *upload, self._weights[client]
            for client, result in zip(
                trains, self._cohort.executor.train(self._works(state, trains)), strict=True
            ):
                costs.uplink_bits[client] = asked.fixed_upload_bits[client]
                costs.flops[client] = self._cohort.flops(
                    client, self._method.program, held, masked=True
                )
                costs.losses.append(result.loss)
                if delivery.late[client]:
                    late[client] = result.vector.copy(), held
                if delivery.on_time[client]:
                    squares = np.square(result.sums["gradient"], dtype=np.float64)
                    importance[:] += np.multiply(squares, self._weights[client], out=squares)
                    yield result.vector, held, self._weights[client]

        shared = np.where(held, weighted_mean_over_holders(base.shared, arrivals()), np.float32(0))
        mask = state.mask
        if self._method.reconfiguration.due(state.round) and importance.any():
            mask, importance = (
                self._reconfigured(state, shared, importance),
                np.zeros_like(importance),
            )
            shared[: len(mask)][~mask] = 0.0
        after = ServerState.of(base.seed, base.round + 1, shared, base.personal, late)
        down = np.where(delivery.participates, asked.fixed_download_bits, 0.0)
        return GlobalMaskState(after, mask, importance), costs.metrics(
            down, {"density": float(state.mask.mean())}
        )

    def evaluate(self, state: GlobalMaskState) -> float:
        """Mean over clients of the accuracy of the masked global model on the client's test
        samples.
        """
        return self._cohort.accuracy(lambda client: state.shared.copy(), one_model=True)

    def pack(self, state: GlobalMaskState) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        return state.base.pack() | {"mask": state.mask, "importance": state.importance}

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> GlobalMaskState:
        """The state that `pack` gave; `InputError` for arrays of another model or number of
        clients.
        """
        base = ServerState.unpack(arrays, self._cohort.clients, self._cohort.layout)
        size = (self._cohort.layout.parameter_size,)
        check_shapes(arrays, {"mask": size, "importance": size})
        return GlobalMaskState(
            base, arrays["mask"].astype(np.bool_), arrays["importance"].astype(np.float64)
        )

    def close(self) -> None:
        """End worker processes."""
        self._cohort.close()

    def _works(self, state: GlobalMaskState, clients: Sequence[int]) -> Iterator[LocalWork]:
        vector, mask = state.shared.copy(), None if state.mask.all() else state.mask
        for client in clients:
            yield LocalWork(
                client=client,
                vector=vector,
                program=self._method.program,
                pruning_ratio=0.0,
                streams=Streams(state.base.seed, state.round),
                mask=mask,
            )

    def _reconfigured(self, state: GlobalMaskState, shared: Vector, importance: Floats) -> Mask:
        return self._method.reconfiguration.mask(
            shared[: len(state.mask)],
            state.mask,
            importance,
            self._seconds,
            self._layers,
            constant_s=self._constant_s,
            round=state.round,
        )

    def _time(self) -> tuple[float, Floats]:
        """Seconds of a round without any weight that a mask can drop, and those that each weight
        adds, (N,).

        Of the client whose dense round takes longest: a step's FLOPs per weight of a layer, and 2 x
        32 bits.
        """
        (model, layout), cohort = self._method.spec().build_model(), self._cohort
        macs, per_weight = layer_macs(model), np.zeros(layout.parameter_size)
        for entry in layout.parameters:
            if len(entry.shape) > 1:
                name = entry.name.removesuffix(".weight")
                passes = (
                    2 if name == next(iter(macs)) else 3
                )  # the first layer needs no gradient at its input
                per_weight[entry.slice] = 2.0 * passes * macs[name] / entry.size
        dense = np.ones(layout.upload_size, dtype=np.bool_)
        flops = np.array(
            [cohort.flops(k, self._method.program, dense) for k in range(cohort.clients)]
        )
        bits = np.full(cohort.clients, 2.0 * BITS_PER_WEIGHT * layout.upload_size)
        slowest = int(np.argmax(self._method.time.seconds(flops, bits)))
        speed, rate = (values[slowest] for values in self._method.time.of(cohort.clients))
        samples = flops[slowest] / per_weight.sum()
        always = layout.upload_size - sum(layer.stop - layer.start for layer in self._layers)
        constant_s = self._method.time.assumed_constant_s + 2.0 * BITS_PER_WEIGHT * always / rate
        return constant_s, per_weight * samples / speed + 2.0 * BITS_PER_WEIGHT / rate


class GlobalMaskBased(Protocol):
    """An algorithm that is a `GlobalMaskMethod`: demand and training follow from what its `method` says."""

    @property
    def method(self) -> GlobalMaskMethod:
        """The algorithm as a program for its clients and a rule for their mask."""
        ...

    def demand(self, clients: int) -> Demand:
        """Weight updates and bits of a first round, from the model's shapes alone."""
        return self.method.demand(clients)

    def trainer(self, *, clients: int, seed: int, runtime: Runtime) -> Trainer:
        """Training on data divided over `clients` clients with `seed`."""
        return GlobalMaskTrainer(self.method, clients=clients, seed=seed, runtime=runtime)
