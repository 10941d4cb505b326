"""Small ridge problems with local steps as plain loops, for methods with control variates."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from training.control_variates.local_descent import LocalDescent
from training.control_variates.state import ControlVariateState
from training.control_variates.trainer import ControlVariateTrainer
from training.sparsity.prox import Prox
from training.structure.layout import Layout
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery, StepMetrics

CLIENTS = 4
SIZE = 6
ROWS = 9
SEED = 2  # its first rounds have 10, 4, 10, 1 and 7 steps with p = 0.2
NONE = np.zeros(CLIENTS)
ALL = Delivery.all(CLIENTS)


class Quadratics:
    """`StepRunner` of a `ControlVariateTrainer` in float64.

    f_i(w) = 1/2 |A_i w - b_i|^2 + ridge / (2 N) |w|^2.
    """

    def __init__(
        self, rate: float, *, control: bool = True, ridge: float = 0.5, start: float = 0.0
    ) -> None:
        rng = np.random.default_rng(7)
        self.rate = rate
        self.ridge = ridge
        self._control = control
        self._start = start
        self.features = rng.normal(size=(CLIENTS, ROWS, SIZE))
        self.targets = rng.normal(size=(CLIENTS, ROWS)) + 2 * np.arange(CLIENTS)[:, None]
        self.layout = Layout((), 0, SIZE, 0, SIZE)

    @property
    def smoothness(self) -> float:
        """The largest curvature of a client."""
        return (
            max(np.linalg.eigvalsh(rows.T @ rows)[-1] for rows in self.features)
            + self.ridge / CLIENTS
        )

    def gradient(self, client: int, weights: np.ndarray) -> np.ndarray:
        """The gradient of f_i at `weights`."""
        rows = self.features[client]
        return rows.T @ (rows @ weights - self.targets[client]) + self.ridge / CLIENTS * weights

    def optimum(self) -> np.ndarray:
        """The minimum of the sum, in closed form."""
        rows = self.features.reshape(-1, SIZE)
        targets = self.targets.reshape(-1)
        return np.linalg.solve(rows.T @ rows + self.ridge * np.eye(SIZE), rows.T @ targets)

    def initial_vector(self, seed: int) -> np.ndarray:
        """The same number everywhere."""
        return np.full(SIZE, self._start)

    def train(
        self,
        start: np.ndarray,
        control: np.ndarray,
        clients: Sequence[int],
        *,
        streams: Streams,
        steps: int,
        proxes: Sequence[Prox | None],
    ) -> Iterator[tuple[int, np.ndarray, None]]:
        """One client and one step after the other."""
        for client in clients:
            weights = start.copy()
            for _ in range(steps):
                held = control[client] if self._control else 0.0
                weights = weights - self.rate * (self.gradient(client, weights) - held)
                weights = weights if proxes[client] is None else proxes[client](weights, self.rate)
            yield client, weights, None

    def accuracy(self, vector: np.ndarray) -> float:
        """Something that depends on the model: weights that are not 0."""
        return float(np.count_nonzero(vector))

    def objective(self, vector: np.ndarray) -> float:
        """The sum over clients."""
        residual = (self.features @ vector - self.targets).ravel()
        return float(residual @ residual + self.ridge * vector @ vector) / 2

    def flops(self, client: int, steps: int) -> float:
        """A number a step."""
        return float(steps)

    def close(self) -> None:
        """Release nothing."""


RATE = 1.0 / Quadratics(0.0).smoothness
DESCENT = LocalDescent(learning_rate=RATE, probability=0.2)


def start(
    algorithm: Any, descent: LocalDescent = DESCENT, **fields: float
) -> tuple[ControlVariateTrainer, ControlVariateState]:
    """A trainer of `algorithm` on quadratics of these `fields`, and its first state."""
    algorithm = replace(algorithm, descent=descent)
    steps = Quadratics(descent.learning_rate, control=algorithm.method.rules.control, **fields)
    trainer = ControlVariateTrainer(
        algorithm.method, clients=CLIENTS, seed=SEED, runtime=Runtime(), steps=steps
    )
    return trainer, trainer.init(SEED)


def run(
    algorithm: Any, rounds: int, descent: LocalDescent = DESCENT, **fields: float
) -> tuple[ControlVariateState, StepMetrics]:
    """The state after `count` rounds, and the costs of the last one."""
    trainer, state = start(algorithm, descent, **fields)
    for _ in range(rounds):
        state, metrics = trainer.step(state, NONE, ALL)
    return state, metrics
