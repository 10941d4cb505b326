"""The engine: interprets local programs on one reused model, for one client after the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from training.arrays import Mask, Vector
from training.data.federated import FederatedData
from training.engine.batches import Batches, memory_format_for
from training.engine.compact import CompactNetworks, Placement
from training.engine.network import Network, Trainable
from training.engine.program import (
    Accumulate,
    EvaluationWork,
    LocalResult,
    LocalWork,
    Prune,
    Train,
    TrainMask,
)
from training.engine.sgd import Run, accumulate, descend, prune
from training.engine.straight_through import train_mask, train_pruned
from training.structure.build import Form, build
from training.structure.layout import Layout
from training.torch_settings import deterministic, keep_freed_memory, one_thread
from wirelessfl.errors import InputError


class ModelTask(Protocol):
    """The part of a learning task that an engine is made for: `training.task.Task` has it."""

    @property
    def model(self) -> str:
        """Name of the model's plug-in."""
        ...

    @property
    def form(self) -> Form:
        """Shape of the inputs, number of classes and width that the model is made for."""
        ...

    @property
    def batch_size(self) -> int:
        """Samples of a mini-batch."""
        ...


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """What an engine is made of besides data, small enough to be sent to another process.

    The model is made in `form`, which is that of the data.
    """

    model: str
    personalised: bool
    batch_size: int
    device: str
    precision: str = "float32"
    deterministic: bool = False
    form: Form = field(default_factory=Form)

    @classmethod
    def of(
        cls, task: ModelTask, *, personalised: bool = False, device: str = "cpu"
    ) -> "EngineSpec":
        """The engine for the model and the mini-batches of a task.

        Args:
            task: The learning task, such as a `training.task.Task`.
            personalised: Whether the model's personal sub-modules stay with the clients.
            device: Name of the torch device.

        Returns:
            A specification in float32, not deterministic on CUDA.

        Raises:
            InputError: The model cannot be made for the task's data set.
        """
        return cls(
            model=task.model,
            form=task.form,
            personalised=personalised,
            batch_size=task.batch_size,
            device=device,
        )

    def build_model(self) -> tuple[nn.Module, Layout]:
        """A new model and its layout, with an empty personal part unless `personalised`."""
        model = build(self.model, self.form)
        layout = Layout.of(model, self._personal(model))
        if self.personalised and not 0 < layout.personal_size < layout.parameter_size:
            raise InputError(
                f"training.model {self.model!r} must have a personal and a shared part, got {self._personal(model)}"
            )
        return model, layout

    def build(self, data: FederatedData) -> "Engine":
        """The engine on `data`."""
        model, layout = self.build_model()
        device = torch.device(self.device)
        return Engine(
            model,
            layout,
            data,
            batch_size=self.batch_size,
            device=device,
            personal=self._personal(model),
            precision=self.precision,
            deterministic=self.deterministic,
        )

    def _personal(self, model: Any) -> tuple[str, ...]:
        return model.personal if self.personalised else ()


class Engine:
    """Trains and evaluates clients; every result is a function of the work given, of nothing before
    it.

    One network and its flat vectors are used for all clients, a few more for sub-models; data lie
    on the device as they are stored. One torch thread: results are bitwise the same in any process.
    """

    def __init__(
        self,
        model: nn.Module,
        layout: Layout,
        data: FederatedData,
        *,
        batch_size: int,
        device: torch.device,
        personal: tuple[str, ...] = (),
        precision: str = "float32",
        deterministic: bool = False,
    ) -> None:
        keep_freed_memory()
        self._device, self._deterministic = device, deterministic
        self._network = Network(model, layout, device, precision)
        self.batches = Batches(
            data,
            batch_size,
            device,
            smallest=layout.smallest_batch,
            memory_format=memory_format_for(device, batch_norm=layout.batch_norm),
        )
        self._whole = Placement(network=self._network, whole=layout)
        self._everything = np.ones(layout.upload_size, dtype=np.bool_)
        self._everything.flags.writeable = False
        self._compact = CompactNetworks(model, layout, personal, device, precision)

    def train(self, work: LocalWork) -> LocalResult:
        """The client's program from its start vector; `InputError` when a loss or a weight is no
        longer finite.

        Nothing is looked at while it runs. Where the end is not finite the same work is done once
        more with a look after every step, to name client, round, step and tensor.
        """
        place = self.place(work)
        with self._computing():
            run = self._begin([work], [place], place.network)
            _follow(run)
            if not _finite(run).all():
                run = self._begin([work], [place], place.network, watched=True)
                _follow(run)  # comes to an end when only the sum was too great for a number
            return self._results(run, [place])[0]

    def place(self, work: LocalWork) -> Placement:
        """The network that the work asks for, in its place in the whole model."""
        return self._whole if work.sub is None else self._compact.get(work.sub)

    def train_together(
        self, works: Sequence[LocalWork], places: Sequence[Placement], network: Trainable
    ) -> list[LocalResult]:
        """What `train` gives for each of `works`, from one run on `network`, a stack of their
        networks.

        The works' programs and the sizes of their batches must be the same. Who ends with a number
        that is not finite is trained once more, alone.
        """
        with self._computing():
            run = self._begin(works, places, network)
            _follow(run)
            finite, results = _finite(run).tolist(), self._results(run, places)
        return [
            result if sound else self.train(work)
            for work, result, sound in zip(works, results, finite, strict=True)
        ]

    def evaluate(self, work: EvaluationWork) -> float:
        """Fraction of the client's test samples, or of the work's own, that the model puts into the
        right class.

        Of a model that predicts numbers it is the coefficient of determination R^2 = 1 - SS_res /
        SS_tot over them: 1 is perfect, 0 as good as their mean, which a client whose targets are
        all the same gets, too.
        """
        network = self._network
        with self._computing(), torch.inference_mode():
            network.vector.copy_(torch.from_numpy(work.vector))
            network.training(False)
            outputs, targets = zip(
                *(
                    (network.model(inputs), labels)
                    for inputs, labels in self.batches.test(work.client, work.sample)
                ),
                strict=True,
            )
            output, target = torch.cat(outputs), torch.cat(targets)
            if network.classifies:
                return (output.argmax(1) == target).sum().item() / len(target)
            residual, spread = (
                (output.view_as(target) - target).square().sum(),
                target.var(correction=0) * len(target),
            )
            return (1.0 - residual / spread).item() if spread > 0 else 0.0

    def _begin(
        self,
        works: Sequence[LocalWork],
        places: Sequence[Placement],
        network: Trainable,
        *,
        watched: bool = False,
    ) -> Run:
        """The works laid out on their network."""
        weights = network.layout.part("all")
        pairs = list(zip(works, places, strict=True))
        network.vector.copy_(
            network.join([place.take(self._tensor(work.vector)) for work, place in pairs])
        )
        network.training(True)
        run = Run(network=network, batches=self.batches, works=works, watched=watched)
        run.doubt = torch.zeros(network.vector.shape[:-1], device=self._device)

        def joined(name: str) -> Tensor | None:
            values = [getattr(work, name) for work in works]
            if values[0] is None:
                return None
            return network.join(
                [
                    place.take(self._tensor(value))
                    for value, place in zip(values, places, strict=True)
                ]
            )

        if works[0].mask is not None:
            masks = (
                _whole_mask(work.mask, place.whole)
                for work, place in pairs
                if work.mask is not None
            )
            held = [
                place.take(self._tensor(mask)) for mask, place in zip(masks, places, strict=True)
            ]
            run.held = network.join(held)[..., weights]
            network.vector[..., weights] = torch.where(
                run.held > 0, network.vector[..., weights], 0.0
            )
        correction = joined("correction")
        run.correction = None if correction is None else correction[..., weights]
        run.scores, run.neighbours = joined("scores"), joined("neighbour_mask")
        run.look(run.doubt, 0, "the start")
        return run

    def _results(self, run: Run, places: Sequence[Placement]) -> list[LocalResult]:
        """What the run ends with, at the places that it has in the whole model."""
        network, whole = run.network, places[0].whole

        def put(values: Tensor, size: int) -> list[Any]:
            """Each client's numbers as one array, 0 where its network has none."""
            rows = zip(places, network.divide(values), strict=True)
            return [place.put(row, row.new_zeros(size)).cpu().numpy() for place, row in rows]

        losses = [None] * len(places) if run.loss is None else run.loss.reshape(-1).tolist()
        scores = (
            [None] * len(places) if run.scores is None else put(run.scores, whole.parameter_size)
        )
        sums = {name: put(total, whole.parameter_size) for name, total in run.sums.items()}
        return [
            LocalResult(
                vector=place.put(row, self._tensor(work.vector)).cpu().numpy(),
                mask=mask,
                loss=losses[i],
                steps=run.steps,
                batches=run.accumulated,
                sums={name: rows[i] for name, rows in sums.items()},
                scores=scores[i],
            )
            for i, (work, place, row, mask) in enumerate(
                zip(
                    run.works,
                    places,
                    network.divide(network.vector),
                    self._held(run, places),
                    strict=True,
                )
            )
        ]

    def _held(self, run: Run, places: Sequence[Placement]) -> list[Mask]:
        """The mask (upload_size,) of each client; all of those that hold everything are one."""
        whole = places[0].whole
        if run.held is None and all(place.index is None for place in places):
            return [self._everything] * len(places)
        held = torch.ones_like(run.network.vector, dtype=torch.bool)
        if run.held is not None:
            held[..., run.network.layout.part("all")] = run.held.bool()
        rows = zip(places, run.network.divide(held), strict=True)
        return [
            place.put(row, row.new_zeros(whole.size)).cpu().numpy()[whole.upload]
            for place, row in rows
        ]

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with one_thread(), deterministic(self._deterministic):
            yield

    def _tensor(self, vector: Vector) -> Tensor:
        return torch.from_numpy(vector).to(self._device)


def _finite(run: Run) -> Tensor:
    """Whether all numbers of each client are finite."""
    return torch.isfinite(
        run.doubt + run.network.vector.sum(-1) + (0.0 if run.loss is None else run.loss)
    )


def _follow(run: Run) -> None:
    """The phases of a program one after the other."""
    for phase in run.works[0].program:
        if isinstance(phase, Prune):
            prune(run, phase)
        elif isinstance(phase, Train):
            descend(run, phase)
        elif isinstance(phase, Accumulate):
            accumulate(run, phase)
        elif isinstance(phase, TrainMask):
            train_mask(run, phase)
        else:
            train_pruned(run, phase)


def _whole_mask(mask: Mask, layout: Layout) -> Vector:
    """A mask of the shared part (N_u,) or of all weights (parameter_size,) as 0 and 1 for the whole
    vector, (size,).
    """
    places = {
        layout.parameter_size: slice(0, layout.parameter_size),
        layout.shared_size: layout.shared,
    }
    if mask.ndim != 1 or mask.size not in places:
        raise InputError(
            f"a mask must have shape ({layout.shared_size},) or ({layout.parameter_size},), got {mask.shape}"
        )
    whole = torch.ones(layout.size)
    whole[places[mask.size]] = torch.from_numpy(mask).float()
    return whole.numpy()
