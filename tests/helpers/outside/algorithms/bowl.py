"""An external algorithm that a search can tune: its accuracy is highest at a rate of 0.1.

It knows the lengths of its rounds in advance, and trains batched runs with the numbers of its
trainer.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from wirelessfl.batched_runs import Pause, StackedRun, TrainedRound, TrainedRun, no_pause
from wirelessfl.errors import DivergenceError, check_number
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics

BEST = 0.1
TOO_MUCH = 1.0


@dataclass(frozen=True, kw_only=True)
class BowlTask:
    """The nested part of the settings."""

    evaluate_on: Literal["test", "validation"] = "test"


@dataclass(frozen=True, kw_only=True)
class Bowl:
    """Diverges in its third round with rates above 1; loses 0.05 from validation to test."""

    task: BowlTask = field(default_factory=BowlTask)
    learning_rate: float = 0.01
    probability: float = 0.25
    stacked: bool = False
    trained: ClassVar[list[list[StackedRun]]] = []  # the stacks that were asked for

    def __post_init__(self) -> None:
        check_number("training.learning_rate", self.learning_rate, above=0)
        check_number("training.probability", self.probability, above=0, at_most=1)

    def rounds_within(self, seed: int, steps: int) -> int:
        lengths = (
            int(Streams(seed, round).generator("coin").geometric(self.probability))
            for round in count()
        )
        return next(done for done, total in enumerate(accumulate(lengths)) if total > steps)

    def stack_key(self) -> Hashable | None:
        return self.task if self.stacked else None

    def train_stack(
        self, runs: Sequence[StackedRun], runtime: Runtime, pause: Pause = no_pause
    ) -> Iterator[TrainedRun]:
        self.trained.append(list(runs))
        courses = [_Course(run, runtime) for run in runs]
        while any([course.advance() for course in courses]):
            if pause(lambda: [course.take() for course in courses]):
                break
        yield from (course.take() for course in courses)

    def demand(self, clients: int) -> Demand:
        return Demand.same_for_all(
            clients,
            fixed_updates=1e4,
            prunable_updates=0,
            fixed_upload_bits=3200,
            prunable_upload_bits=0,
        )

    def trainer(self, *, clients: int, seed: int, runtime: Runtime) -> "BowlTrainer":
        return BowlTrainer(self, clients, seed)


class _Course:
    """A run of a stack, round by round."""

    def __init__(self, run: StackedRun, runtime: Runtime) -> None:
        self.run = run
        self.trainer = run.algorithm.trainer(clients=run.clients, seed=run.seed, runtime=runtime)
        self.state = (
            self.trainer.init(run.seed) if run.start is None else self.trainer.unpack(run.start)
        )
        self.done = run.done
        self.rounds: list[TrainedRound] = []
        self.diverged: str | None = None

    def advance(self) -> bool:
        """Train a round; false once there is none."""
        if self.diverged or self.done == self.run.rounds:
            return False
        clients = self.run.clients
        demand = self.trainer.demand(self.state)
        try:
            self.state, metrics = self.trainer.step(
                self.state, np.zeros(clients), Delivery.all(clients)
            )
        except DivergenceError as error:
            self.diverged = str(error)
            return False
        due = self.run.is_due(self.done)
        self.done += 1
        accuracy = self.trainer.evaluate(self.state) if due else None
        self.rounds.append(TrainedRound(demand=demand, metrics=metrics, accuracy=accuracy))
        return True

    def take(self) -> TrainedRun:
        rounds, self.rounds = self.rounds, []
        return TrainedRun(
            rounds=rounds, state=self.trainer.pack(self.state), diverged=self.diverged
        )


class BowlTrainer:
    """Its state: one number a client, and the number of rounds."""

    def __init__(self, settings: Bowl, clients: int, seed: int) -> None:
        self.settings = settings
        self.clients = clients
        self.seed = seed

    def init(self, seed: int) -> tuple[int, Array]:
        return 0, Streams(seed).generator("start").random(self.clients)

    def demand(self, state: tuple[int, Array]) -> Demand:
        return self.settings.demand(self.clients)

    def step(
        self, state: tuple[int, Array], pruning_ratio: Array, delivery: Delivery
    ) -> tuple[tuple[int, Array], StepMetrics]:
        round, values = state
        if round == 2 and self.settings.learning_rate > TOO_MUCH:
            raise DivergenceError(
                "training diverged: round 3, loss inf; reduce training.learning_rate"
            )
        noise = Streams(self.seed, round).generator("noise").random(self.clients)
        values = np.where(delivery.on_time, 0.9 * values + 0.1 * noise, values)
        bits = np.full(self.clients, 3200.0)
        metrics = StepMetrics(
            loss=float(values.mean()),
            uplink_bits=bits,
            downlink_bits=bits,
            flops=bits,
            extra={"first": values[0]},
        )
        return (round + 1, values), metrics

    def evaluate(self, state: tuple[int, Array]) -> float:
        lost = 0.05 if self.settings.task.evaluate_on == "test" else 0.0
        return float(0.95 / (1.0 + abs(np.log10(self.settings.learning_rate / BEST))) - lost)

    def pack(self, state: tuple[int, Array]) -> dict[str, NDArray[Any]]:
        return {"round": np.array(state[0]), "values": state[1]}

    def unpack(self, arrays: dict[str, NDArray[Any]]) -> tuple[int, Array]:
        return int(arrays["round"]), arrays["values"]

    def close(self) -> None:
        pass
