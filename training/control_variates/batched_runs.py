"""Runs of one convex task trained as one program: methods, step sizes, probabilities and seeds may
differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from training.arrays import Floats
from training.control_variates.local_steps import FullGradientSteps
from training.control_variates.method import ControlVariateMethod
from training.control_variates.trainer import ControlVariateTrainer
from training.convex.factory import full_gradients
from training.convex.full_gradients import Counts, FullGradients, Proxes
from training.data.federated import FederatedData
from training.sparsity.prox import SoftThreshold
from wirelessfl.batched_runs import StackedRun, TrainedRound, TrainedRun
from wirelessfl.errors import DivergenceError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Array, Delivery, Demand, StepMetrics

# Steps with a prox that all runs take before those that go on take the next: rounds differ in
# length by a factor of hundreds, and the last run under way is twice as slow alone as in a stack.
PART = 64

Values = TypeVar("Values", Demand, StepMetrics)


def train_stacked(
    methods: Sequence[ControlVariateMethod], runs: Sequence[StackedRun], runtime: Runtime
) -> list[TrainedRun]:
    """What the trainers of `methods` (R) give in `runs` (R), of one task, ridge and number of
    clients.

    Local steps of all runs are one program; all else is done by the `ControlVariateTrainer` of each. Runs
    whose seeds draw other clients have gradients of their own, those whose seeds only number the
    same clients differently share them. Numbers are those of a trainer alone but for rounding, as
    sums of matrix products depend on how many are made.
    """
    bound, arrays = _Bound(runtime), dict[bytes, Array]()
    under_way = [
        _UnderWay(method, run, runtime, bound.of(method, run), arrays)
        for method, run in zip(methods, runs, strict=True)
    ]
    while active := sorted((run for run in under_way if run.left), key=lambda run: run.kind):
        for _, together in groupby(active, key=lambda run: run.kind):
            _advance(list(together))
    return [run.result() for run in under_way]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Clients:
    """The clients that a seed draws: which of the clients of which gradients they are (K,), and
    their samples (K,).
    """

    gradients: FullGradients
    places: NDArray[np.intp]
    samples: list[int]


class _UnderWay:
    """A run of the stack: the state of its trainer, and where it is in its round."""

    def __init__(
        self,
        method: ControlVariateMethod,
        run: StackedRun,
        runtime: Runtime,
        clients: _Clients,
        arrays: dict[bytes, Array],
    ) -> None:
        self.gradients, self._places, self._arrays = clients.gradients, clients.places, arrays
        self.rate, self.controlled = method.descent.learning_rate, method.pieces.control
        rule = method.pieces.every_step
        self.prox = None if rule is None else rule(method.model_kept(self.gradients.size))
        self._method, self._run, self._handed = method, run, _Handed(self.gradients)
        steps = FullGradientSteps(method, self._handed, clients.samples)
        self._trainer = ControlVariateTrainer(
            method, clients=run.clients, seed=run.seed, runtime=runtime, steps=steps
        )
        self._state = self._trainer.init(run.seed)
        self._rounds: list[TrainedRound] = []
        self._diverged: str | None = None
        self.left: int
        self.weights: Floats
        self._begin()

    @property
    def kind(self) -> tuple[int, str]:
        """Runs of one kind take their steps together: the same data, and proxes that go together."""
        soft = isinstance(self.prox, SoftThreshold)
        return id(self.gradients), "soft" if soft else str(self.prox)

    @property
    def control(self) -> Floats:
        """The control variates (K, d), clients in the order of the gradients."""
        ordered = np.empty_like(self._state.control)
        ordered[self._places] = self._state.control
        return ordered

    def take(self, trained: Floats, steps: int) -> None:
        """`trained` (K, d) after `steps` more; the communication where these were the round's last."""
        self.left, self.weights = self.left - steps, trained
        if not self.left:
            self._communicate(trained[self._places])

    def result(self) -> TrainedRun:
        """The run as it ended."""
        return TrainedRun(
            rounds=self._rounds, state=self._trainer.pack(self._state), diverged=self._diverged
        )

    def _begin(self) -> None:
        """The start of a round, which is common to all clients; no steps are left where there is
        none.
        """
        done, streams = (
            self._diverged or len(self._rounds) == self._run.rounds,
            Streams(self._run.seed),
        )
        self.weights = self._state.shared
        self.left = 0 if done else self._method.descent.steps(streams.at(self._state.round))

    def _communicate(self, trained: Floats) -> None:
        self._handed.trained = trained[None]
        demand, clients = self._trainer.demand(self._state), self._run.clients
        try:
            self._state, metrics = self._trainer.step(
                self._state, np.zeros(clients), Delivery.all(clients)
            )
        except DivergenceError as error:
            self._diverged = str(error)
        else:
            accuracy = (
                self._trainer.evaluate(self._state) if self._run.is_due(len(self._rounds)) else None
            )
            demand, metrics = _small(demand, self._arrays), _small(metrics, self._arrays)
            self._rounds.append(TrainedRound(demand=demand, metrics=metrics, accuracy=accuracy))
        self._begin()


class _Handed:
    """Full gradients whose local steps were taken before, with those of other runs."""

    def __init__(self, gradients: FullGradients) -> None:
        self.clients, self.size, self.dtype = gradients.clients, gradients.size, gradients.dtype
        self.loss, self.score = gradients.loss, gradients.score
        self.trained: Floats = np.empty(0)

    def local_steps(
        self,
        start: Floats,
        control: Floats | None,
        *,
        rate: Floats,
        steps: Counts,
        prox: Proxes = None,
    ) -> Floats:
        """What was trained."""
        return self.trained


def _advance(runs: list[_UnderWay]) -> None:
    """The next steps of runs of one kind: the whole round without a prox, whose steps cost nothing,
    else a part.
    """
    gradients, most = runs[0].gradients, None if runs[0].prox is None else PART
    steps = np.array([run.left if most is None else min(run.left, most) for run in runs])
    starts = [run.weights for run in runs]
    if any(start.ndim == 2 for start in starts):
        starts = [np.broadcast_to(start, (gradients.clients, gradients.size)) for start in starts]
    with np.errstate(over="ignore", invalid="ignore"):
        trained = gradients.local_steps(
            np.stack(starts),
            np.stack([run.control for run in runs])
            if any(run.controlled for run in runs)
            else None,
            rate=np.array([run.rate for run in runs]),
            steps=steps,
            prox=None if runs[0].prox is None else [run.prox for run in runs],
        )
    for run, row, count in zip(runs, trained, steps.tolist(), strict=True):
        run.take(row, count)


class _Bound:
    """What the seeds of a stack draw, and the gradients of what differs among it."""

    def __init__(self, runtime: Runtime) -> None:
        self._root = runtime.data_root
        self._different: list[tuple[FederatedData, FullGradients]] = []
        self._seeds: dict[int, _Clients] = {}

    def of(self, method: ControlVariateMethod, run: StackedRun) -> "_Clients":
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
    """Where the clients of `data` are among those of `known`, (K,); None where these are other
    data.
    """
    names = ("train_images", "train_labels", "test_images", "test_labels")
    if (known.mean, known.std) != (data.mean, data.std):
        return None
    if not all(torch.equal(getattr(known, name), getattr(data, name)) for name in names):
        return None
    there = {rows.numpy().tobytes(): client for client, rows in enumerate(known.train_index)}
    found = [there.get(rows.numpy().tobytes()) for rows in data.train_index]
    return None if None in found else np.array(found, dtype=np.intp)


def _small(values: Values, arrays: dict[bytes, Array]) -> Values:
    """The same, with one array for equal ones: thousands of rounds of many runs repeat a few."""
    changes: dict[str, Any] = {}
    for field in fields(values):
        array = getattr(values, field.name)
        if isinstance(array, np.ndarray):
            same = bool((array == array[0]).all())
            changes[field.name] = (
                np.broadcast_to(array[0].copy(), array.shape)
                if same
                else arrays.setdefault(array.tobytes(), array)
            )
    return replace(values, **changes)
