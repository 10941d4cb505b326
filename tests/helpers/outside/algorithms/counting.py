"""An external algorithm without learning; every bit of its state depends on the past."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, MeanScore, StepMetrics


@dataclass(frozen=True, kw_only=True)
class CountingTask:
    """The nested part of the settings."""

    model: str = "none"
    weights: int = 16_560
    partition: Literal["iid", "shards"] = "iid"
    train: bool = True


@dataclass(frozen=True, kw_only=True)
class Counting:
    """Asks for what [WFL] Algorithm 1 asks for on the 21,840-parameter CNN."""

    task: CountingTask = field(default_factory=CountingTask)
    steps: int = 5
    rates: tuple[float, ...] = (0.1, 0.2)

    def demand(self, clients: int) -> Demand:
        return Demand.same_for_all(
            clients,
            fixed_updates=5 * 5280 + self.task.weights,
            prunable_updates=self.steps * self.task.weights,
            fixed_upload_bits=0.0,
            prunable_upload_bits=32 * self.task.weights,
        )

    def trainer(self, *, clients: int, seed: int, runtime: Runtime) -> "CountingTrainer":
        return CountingTrainer(demand=self.demand(clients), seed=seed)


@dataclass(frozen=True, kw_only=True)
class CountingState:
    round: int
    values: Array


class CountingTrainer:
    """`seen` lists the arguments of `step`, `evaluated` the rounds of `evaluate`."""

    def __init__(self, *, demand: Demand, seed: int) -> None:
        self.first_demand = demand
        self.seed = seed
        self.seen: list[tuple[Array, NDArray[np.bool_]]] = []
        self.evaluated: list[int] = []

    def init(self, seed: int) -> CountingState:
        return CountingState(
            round=0,
            values=Streams(seed).generator("values").random(len(self.first_demand.fixed_updates)),
        )

    def demand(self, state: CountingState) -> Demand:
        first = self.first_demand
        return replace(
            first,
            prunable_updates=first.prunable_updates
            * (1.0 + 0.1 * state.values * (state.round > 0)),
        )

    def step(
        self, state: CountingState, pruning_ratio: Array, delivery: Delivery
    ) -> tuple[CountingState, StepMetrics]:
        self.seen.append((pruning_ratio, delivery.on_time))
        noise = Streams(self.seed, state.round).generator("noise").random(len(pruning_ratio))
        values = np.where(
            delivery.on_time, 0.7 * state.values + 0.2 * noise + 0.1 * pruning_ratio, state.values
        )
        bits = (1.0 - pruning_ratio) * self.first_demand.prunable_upload_bits
        metrics = StepMetrics(
            loss=float(values.mean()), uplink_bits=bits, downlink_bits=2 * bits, flops=bits + 1.0
        )
        return CountingState(round=state.round + 1, values=values), metrics

    def evaluate(self, state: CountingState) -> float:
        self.evaluated.append(state.round)
        return MeanScore(float(1.0 - state.values.mean() / 2), 1.0 - state.values / 2)

    def pack(self, state: CountingState) -> dict[str, NDArray[Any]]:
        return {"round": np.array(state.round), "values": state.values}

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> CountingState:
        return CountingState(round=int(arrays["round"]), values=arrays["values"])

    def close(self) -> None:
        pass
