"""Server-based training: a shared vector averaged over clients, personal vectors that stay with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.accounting import BITS_PER_WEIGHT, Accounting, upload_bits
from training.aggregate import mean_over_holders
from training.engine import EngineSpec
from training.executors import check_device, make_executor
from training.masks import prune_count
from training.program import (
    EvaluationWork,
    LocalResult,
    LocalWork,
    Mask,
    Program,
    Vector,
    personal_only,
    prunes,
    updates,
)
from training.task import Task
from wirelessfl.errors import InputError, check_number
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics

Upload = tuple[Vector, Mask]


@dataclass(frozen=True, eq=False)
class FederatedState:
    """Everything a run carries from round to round: shared weights u (N_u,), personal weights v (K, N_v), float32.

    `late` holds the uploads that are still on their way, by client: shared weights and mask, (N_u,) each.
    """

    seed: int
    round: int
    shared: Vector
    personal: NDArray[np.float32]
    late: Mapping[int, Upload] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Method:
    """What makes a server-based algorithm: its task, its clients' program, whether the model has a personal part.

    With `personalised` the model's personal sub-modules stay with the clients and only the rest is shared, pruned
    and uploaded; without it that is the whole model. `count_mask_bits` adds a bitmap to every upload.
    """

    task: Task
    program: Program
    personalised: bool
    count_mask_bits: bool

    def spec(self, device: str = "cpu") -> EngineSpec:
        """The engine that trains it."""
        return EngineSpec(
            model=self.task.model, personalised=self.personalised, batch_size=self.task.batch_size, device=device
        )

    def demand(self, clients: int) -> Demand:
        """Weight updates and bits of a dense round, from the program and the model's shapes; the broadcast is dense."""
        _, layout = self.spec().build_model()
        fixed, prunable = updates(self.program, layout.personal_size, layout.shared_size)
        return Demand.same_for_all(
            clients,
            fixed_updates=fixed,
            prunable_updates=prunable,
            fixed_upload_bits=layout.shared_size if self.count_mask_bits else 0,
            prunable_upload_bits=BITS_PER_WEIGHT * layout.shared_size,
            fixed_download_bits=BITS_PER_WEIGHT * layout.shared_size,
        )


class FederatedTrainer:
    """Training by a `Method` on data divided over `clients` clients (a `wirelessfl.protocols.Trainer`)."""

    def __init__(self, method: Method, *, clients: int, seed: int, runtime: Runtime) -> None:
        spec = method.spec(check_device(runtime.device))
        self._method, self._clients, self._demand = method, clients, method.demand(clients)
        model, self._layout = spec.build_model()
        self._accounting = Accounting.of(model, self._layout)
        data = method.task.load(clients=clients, seed=seed, data_root=runtime.data_root)
        self._batch_sizes = [min(method.task.batch_size, len(index)) for index in data.train_index]
        dense = np.ones(self._layout.shared_size, dtype=np.bool_)
        round_flops = sum(self._accounting.flops(method.program, dense, batch) for batch in self._batch_sizes)
        self._executor = make_executor(spec, data, runtime, round_flops=round_flops)

    def init(self, seed: int) -> FederatedState:
        """The state before the first round: one seeded model, the same for all clients."""
        check_number("run.seed", seed, at_least=0, at_most=np.iinfo(np.int64).max)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(Streams(seed).seed_for("model"))
            model, layout = self._method.spec().build_model()
        vector = layout.flatten(model).numpy()
        personal = np.tile(vector[layout.personal], (self._clients, 1))
        return _state(seed, 0, vector[layout.shared], personal)

    def demand(self, state: FederatedState) -> Demand:
        """The same in every round."""
        return self._demand

    def step(
        self, state: FederatedState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[FederatedState, StepMetrics]:
        """One round: local programs, then the mean over holders (15) of what has arrived; ratios (K,).

        A client that keeps nothing (ratio 1) takes its personal steps only and uploads nothing. A client whose upload
        is not delivered keeps its personal part; its upload is sent and paid for, and left out of the mean. A late one
        joins the mean of the round in which it arrives, as one more holder.
        """
        ratios = self._check(pruning_ratio, delivery)
        size = self._layout.shared_size
        shares = [prune_count(ratio, size) < size for ratio in ratios]
        works = [
            LocalWork(
                client=client,
                vector=self._client_vector(state, client),
                program=self._method.program if shares[client] else personal_only(self._method.program),
                pruning_ratio=float(ratios[client]) if shares[client] else 0.0,
                streams=Streams(state.seed, state.round),
            )
            for client in range(self._clients)
        ]
        results = self._executor.train(works)
        masks = [result.mask & share for result, share in zip(results, shares, strict=True)]
        uploads = [(result.vector[self._layout.shared], mask) for result, mask in zip(results, masks, strict=True)]
        earlier = [upload for client, upload in state.late.items() if delivery.earlier[client]]
        now = [upload for upload, here in zip(uploads, delivery.now, strict=True) if here]
        personal = np.stack([result.vector[self._layout.personal] for result in results])
        shared = mean_over_holders(state.shared, [*earlier, *now])
        late = self._on_the_way(state, uploads, shares, delivery)
        return _state(state.seed, state.round + 1, shared, personal, late), self._metrics(works, results, masks)

    def evaluate(self, state: FederatedState) -> float:
        """Mean over clients of the accuracy of [u, v_k] on the client's test samples; u is dense."""
        works = [EvaluationWork(client=k, vector=self._client_vector(state, k)) for k in range(self._clients)]
        return float(np.mean(self._executor.evaluate(works)))

    def pack(self, state: FederatedState) -> dict[str, NDArray[Any]]:
        """The state as plain arrays."""
        return {
            "seed": np.asarray(state.seed, dtype=np.int64),
            "round": np.asarray(state.round, dtype=np.int64),
            "shared": state.shared,
            "personal": state.personal,
            "late_clients": np.array(sorted(state.late), dtype=np.int64),
            "late_shared": self._stack([state.late[k][0] for k in sorted(state.late)], np.float32),
            "late_masks": self._stack([state.late[k][1] for k in sorted(state.late)], np.bool_),
        }

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> FederatedState:
        """The state that `pack` gave; `InputError` for arrays of another model or number of clients."""
        late = np.shape(arrays.get("late_clients", ()))[:1]
        expected = {
            "seed": (),
            "round": (),
            "shared": (self._layout.shared_size,),
            "personal": (self._clients, self._layout.personal_size),
            "late_clients": late,
            "late_shared": (*late, self._layout.shared_size),
            "late_masks": (*late, self._layout.shared_size),
        }
        for name, shape in expected.items():
            if name not in arrays or arrays[name].shape != shape:
                got = arrays[name].shape if name in arrays else "nothing"
                raise InputError(f"training state {name} must have shape {shape}, got {got}")
        on_the_way = {
            int(client): (vector, mask)
            for client, vector, mask in zip(
                arrays["late_clients"], arrays["late_shared"], arrays["late_masks"], strict=True
            )
        }
        return _state(int(arrays["seed"]), int(arrays["round"]), arrays["shared"], arrays["personal"], on_the_way)

    def close(self) -> None:
        """End worker processes."""
        self._executor.close()

    def _client_vector(self, state: FederatedState, client: int) -> Vector:
        return np.concatenate([state.personal[client], state.shared])

    def _on_the_way(
        self, state: FederatedState, uploads: Sequence[Upload], shares: Sequence[bool], delivery: Delivery
    ) -> dict[int, Upload]:
        """Uploads that will arrive in a later round: this round's where it is late, else the one that still is."""
        late = {k: upload for k, upload in state.late.items() if not delivery.earlier[k] and not delivery.now[k]}
        return late | {k: uploads[k] for k in range(self._clients) if delivery.later[k] and shares[k]}

    def _stack(self, rows: Sequence[NDArray[Any]], dtype: Any) -> NDArray[Any]:
        return np.array(rows, dtype=dtype).reshape(len(rows), self._layout.shared_size)

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
        if between.any() and not prunes(self._method.program):
            raise InputError(
                f"training.importance_steps must be at least 1 to prune with ratio {ratios[between][0]:g}, got 0"
            )
        return ratios

    def _metrics(
        self, works: Sequence[LocalWork], results: Sequence[LocalResult], masks: Sequence[Mask]
    ) -> StepMetrics:
        losses = [result.loss for result in results if result.loss is not None]
        uplink = [upload_bits(mask, self._method.count_mask_bits) for mask in masks]
        flops = [
            self._accounting.flops(work.program, mask, batch)
            for work, mask, batch in zip(works, masks, self._batch_sizes, strict=True)
        ]
        return StepMetrics(
            loss=float(np.mean(losses)) if losses else None,
            uplink_bits=np.array(uplink),
            downlink_bits=np.full(self._clients, float(BITS_PER_WEIGHT * self._layout.shared_size)),
            flops=np.array(flops),
        )


def _state(
    seed: int,
    round: int,
    shared: Vector,
    personal: NDArray[np.float32],
    late: Mapping[int, Upload] = MappingProxyType({}),
) -> FederatedState:
    shared, personal = shared.copy(), personal.copy()
    shared.flags.writeable = personal.flags.writeable = False
    return FederatedState(seed, round, shared, personal, late)
