"""Batched runs of one convex task, of different methods, step sizes and seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from training.arrays import Floats
from training.control_variates.local_steps import FullGradientSteps, check_finite
from training.control_variates.method import ControlVariateMethod
from training.control_variates.trainer import ControlVariateTrainer, TrainedClients
from training.convex.factory import full_gradients
from training.convex.full_gradients import FullGradients
from training.data.federated import FederatedData
from training.sparsity.prox import SoftThreshold
from wirelessfl.batched_runs import Pause, StackedRun, TrainedRound, TrainedRun, no_pause
from wirelessfl.errors import DivergenceError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics

# Steps with a prox that all runs take before the runs still in progress take the next: rounds
# differ in length by a factor of hundreds, and the last run alone is twice as slow as in a batch.
STEPS_AT_ONCE = 64

Values = TypeVar("Values", Demand, StepMetrics)


def train_stacked(
    methods: Sequence[ControlVariateMethod],
    runs: Sequence[StackedRun],
    runtime: Runtime,
    pause: Pause = no_pause,
) -> list[TrainedRun]:
    """Train runs together: their local steps are one program.

    The rest of each run is done by its `ControlVariateTrainer`. Runs whose seeds draw other clients
    have gradients of their own; runs whose seeds only number the same clients differently share
    them. The values are those of a trainer alone up to rounding, as sums of matrix products depend
    on their number.

    Args:
        methods: Methods of one task, ridge and number of clients, (R,).
        runs: Their seeds and numbers of rounds, (R,).
        runtime: Device, executor and precision.
        pause: Called between steps; takes results and may end the training.

    Returns:
        The trained runs, (R,), with the rounds that `pause` has not taken.
    """
    shared = _SharedGradients(runtime)
    arrays: dict[bytes, Array] = {}
    in_progress = [
        _RunInProgress(method, run, runtime, shared.of(method, run), arrays)
        for method, run in zip(methods, runs, strict=True)
    ]
    while active := sorted((run for run in in_progress if run.left), key=lambda run: run.kind):
        for _, batch in groupby(active, key=lambda run: run.kind):
            _advance(list(batch))
        if pause(lambda: [run.result() for run in in_progress]):
            break
    return [run.result() for run in in_progress]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Clients:
    """The clients that a seed draws.

    Attributes:
        gradients: Full gradients of the same clients, possibly in another order.
        places: Places of the clients among those of the gradients, (K,).
        samples: Training samples of the clients, (K,).
    """

    gradients: FullGradients
    places: NDArray[np.intp]
    samples: list[int]


class _RunInProgress:
    """One run of a batch: the state of its trainer, and its progress within the round."""

    def __init__(
        self,
        method: ControlVariateMethod,
        run: StackedRun,
        runtime: Runtime,
        clients: _Clients,
        arrays: dict[bytes, Array],
    ) -> None:
        self.gradients = clients.gradients
        self.rate = method.descent.learning_rate
        self.controlled = method.rules.control
        rule = method.rules.every_step
        self.prox = None if rule is None else rule(method.model_kept(self.gradients.size))
        self._places = clients.places
        self._arrays = arrays
        self._method = method
        self._run = run
        steps = FullGradientSteps(method, self.gradients, clients.samples)
        self._trainer = ControlVariateTrainer(
            method, clients=run.clients, seed=run.seed, runtime=runtime, steps=steps
        )
        self._kept = method.kept(np.zeros(run.clients), self.gradients.size)
        self._state = (
            self._trainer.init(run.seed) if run.start is None else self._trainer.unpack(run.start)
        )
        self._done = run.done
        self._rounds: list[TrainedRound] = []
        self._diverged: str | None = None
        self.left: int
        self.weights: Floats
        self._begin()

    @property
    def kind(self) -> tuple[int, str]:
        """Runs of one kind take their steps together: the same data and compatible operators."""
        soft = isinstance(self.prox, SoftThreshold)
        return id(self.gradients), "soft" if soft else str(self.prox)

    @property
    def control(self) -> Floats:
        """The control variates (K, d), clients in the order of the gradients."""
        ordered = np.empty_like(self._state.control)
        ordered[self._places] = self._state.control
        return ordered

    def take(self, trained: Floats, steps: int) -> None:
        """The weights (K, d) after `steps` more; the communication after the last of the round."""
        self.left -= steps
        self.weights = trained
        if not self.left:
            self._communicate(trained[self._places])

    def result(self) -> TrainedRun:
        """The rounds since the last result, and the state after the last of them."""
        rounds, self._rounds = self._rounds, []
        return TrainedRun(
            rounds=rounds, state=self._trainer.pack(self._state), diverged=self._diverged
        )

    def _begin(self) -> None:
        """The start of a round, common to all clients; no steps are left after the last round."""
        ended = self._diverged or self._done == self._run.rounds
        streams = Streams(self._run.seed).at(self._state.round)
        self.weights = self._state.shared
        self.left = 0 if ended else self._method.descent.steps(streams)

    def _communicate(self, vectors: Floats) -> None:
        """The communication of a round, in which all updates are delivered."""
        clients = self._run.clients
        steps = self._method.descent.steps(Streams(self._run.seed, self._state.round))
        demand = self._trainer.demand(self._state)
        trained = TrainedClients(clients=np.arange(clients), vectors=vectors)
        try:
            for client in range(clients):
                check_finite(vectors[client], client, self._state.round, steps)
            self._state, metrics = self._trainer.communicate(
                self._state, trained, self._kept, Delivery.all(clients)
            )
        except DivergenceError as error:
            self._diverged = str(error)
        else:
            due = self._run.is_due(self._done)
            self._done += 1
            accuracy = self._trainer.evaluate(self._state) if due else None
            self._rounds.append(
                TrainedRound(
                    demand=_compact(demand, self._arrays),
                    metrics=_compact(metrics, self._arrays),
                    accuracy=accuracy,
                )
            )
        self._begin()


def _advance(runs: list[_RunInProgress]) -> None:
    """The next steps of runs of one kind.

    Without an operator after every step these are those of the whole round, in closed form.
    """
    gradients = runs[0].gradients
    limited = runs[0].prox is not None
    steps = np.array([min(run.left, STEPS_AT_ONCE) if limited else run.left for run in runs])
    starts = [run.weights for run in runs]
    if any(start.ndim == 2 for start in starts):
        starts = [np.broadcast_to(start, (gradients.clients, gradients.size)) for start in starts]
    controlled = any(run.controlled for run in runs)
    with np.errstate(over="ignore", invalid="ignore"):
        trained = gradients.local_steps(
            np.stack(starts),
            np.stack([run.control for run in runs]) if controlled else None,
            rate=np.array([run.rate for run in runs]),
            steps=steps,
            prox=[run.prox for run in runs] if limited else None,
        )
    for run, row, count in zip(runs, trained, steps.tolist(), strict=True):
        run.take(row, count)


class _SharedGradients:
    """The clients of the seeds of a batch, and one object of gradients for equal data."""

    def __init__(self, runtime: Runtime) -> None:
        self._root = runtime.data_root
        self._different: list[tuple[FederatedData, FullGradients]] = []
        self._seeds: dict[int, _Clients] = {}

    def of(self, method: ControlVariateMethod, run: StackedRun) -> _Clients:
        """The clients of a run."""
        if run.seed not in self._seeds:
            data = method.task.load(clients=run.clients, seed=run.seed, data_root=self._root)
            gradients, places = self._gradients(method, data)
            samples = [len(rows) for rows in data.train_index]
            self._seeds[run.seed] = _Clients(gradients=gradients, places=places, samples=samples)
        return self._seeds[run.seed]

    def _gradients(
        self, method: ControlVariateMethod, data: FederatedData
    ) -> tuple[FullGradients, NDArray[np.intp]]:
        for other, gradients in self._different:
            places = _places(other, data)
            if places is not None:
                return gradients, places
        descent = method.descent
        gradients = full_gradients(data, method.task.model, ridge=descent.ridge, l2=descent.l2)
        self._different.append((data, gradients))
        return gradients, np.arange(gradients.clients)


def _places(known: FederatedData, data: FederatedData) -> NDArray[np.intp] | None:
    """Places of the clients of `data` among those of `known`, (K,); None for other data."""
    names = ("train_images", "train_labels", "test_images", "test_labels")
    if (known.mean, known.std) != (data.mean, data.std):
        return None
    if not all(torch.equal(getattr(known, name), getattr(data, name)) for name in names):
        return None
    clients = {rows.numpy().tobytes(): client for client, rows in enumerate(known.train_index)}
    places = [clients.get(rows.numpy().tobytes()) for rows in data.train_index]
    return None if None in places else np.array(places, dtype=np.intp)


def _compact(values: Values, arrays: dict[bytes, Array]) -> Values:
    """The same values with one array for equal ones.

    Thousands of rounds of many runs repeat few different arrays.
    """
    changes: dict[str, Any] = {}
    for field in fields(values):
        array = getattr(values, field.name)
        if isinstance(array, np.ndarray):
            constant = bool((array == array[0]).all())
            changes[field.name] = (
                np.broadcast_to(array[0].copy(), array.shape)
                if constant
                else arrays.setdefault(array.tobytes(), array)
            )
    return replace(values, **changes)
