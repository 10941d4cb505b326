"""The engine: interprets local programs on one reused model, for one client after the other."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training._process import keep_freed_memory, one_thread
from training.batches import Batches
from training.compact import CompactNetworks, Placement
from training.data._federated import FederatedData
from training.descent import Run, accumulate, descend, prune
from training.layout import Layout
from training.network import Network
from training.program import Accumulate, EvaluationWork, LocalResult, LocalWork, Mask, Prune, Train, TrainMask, Vector
from training.straight_through import train_mask, train_pruned
from wirelessfl import plugins
from wirelessfl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """What an engine is made of besides data, small enough to be sent to another process."""

    model: str
    personalised: bool
    batch_size: int
    device: str

    def build_model(self) -> tuple[nn.Module, Layout]:
        """A new model and its layout, with an empty personal part unless `personalised`."""
        model: nn.Module = plugins.load("models", self.model)()
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
        return Engine(model, layout, data, batch_size=self.batch_size, device=device, personal=self._personal(model))

    def _personal(self, model: nn.Module) -> tuple[str, ...]:
        return model.personal if self.personalised else ()  # type: ignore[return-value]


class Engine:
    """Trains and evaluates clients one at a time; every result is a function of the work given, of nothing before it.

    One network and its flat vectors are used for all clients, a few more for sub-models; data lie on the device as
    they are stored. One torch thread: results are bitwise the same in any process.
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
    ) -> None:
        keep_freed_memory()
        self._device = device
        self._network = Network(model, layout, device)
        self._batches = Batches(data, batch_size, device, smallest=layout.smallest_batch)
        self._whole = Placement(network=self._network, whole=layout)
        self._compact = CompactNetworks(model, layout, personal, device)

    def train(self, work: LocalWork) -> LocalResult:
        """The client's program from its start vector; `InputError` when a loss or a weight is no longer finite.

        Nothing is looked at while it runs. Where the end is not finite the same work is done once more with a look
        after every step, to name client, round, step and tensor.
        """
        with one_thread():
            run, place = self._begin(work, watched=False)
            _follow(run)
            seen = run.doubt + run.network.vector.sum() + (0.0 if run.loss is None else run.loss)
            if not torch.isfinite(seen):
                run, place = self._begin(work, watched=True)
                _follow(run)  # comes to an end when only the sum was too great for a number
            return self._result(run, place)

    def evaluate(self, work: EvaluationWork) -> float:
        """Fraction of the client's test samples that the model puts into the right class.

        Of a model that predicts numbers it is the coefficient of determination R^2 = 1 - SS_res / SS_tot over them: 1
        is perfect, 0 as good as their mean, which a client whose targets are all the same gets, too.
        """
        network = self._network
        with one_thread(), torch.inference_mode():
            network.vector.copy_(torch.from_numpy(work.vector))
            network.training(False)
            outputs, targets = zip(
                *((network.model(inputs), labels) for inputs, labels in self._batches.test(work.client)), strict=True
            )
            output, target = torch.cat(outputs), torch.cat(targets)
            if network.classifies:
                return (output.argmax(1) == target).sum().item() / len(target)
            residual, spread = (output.view_as(target) - target).square().sum(), target.var(correction=0) * len(target)
            return (1.0 - residual / spread).item() if spread > 0 else 0.0

    def _begin(self, work: LocalWork, *, watched: bool) -> tuple[Run, Placement]:
        """The work laid out on its network."""
        place = self._whole if work.sub is None else self._compact.get(work.sub)
        network, weights = place.network, place.network.layout.part("all")
        network.vector.copy_(place.take(self._tensor(work.vector)))
        network.training(True)
        run = Run(
            network=network,
            batches=self._batches,
            work=work,
            watched=watched,
            doubt=torch.zeros((), device=self._device),
        )
        if work.mask is not None:
            run.held = place.take(self._tensor(_whole_mask(work.mask, place.whole)))[weights]
            network.vector[weights] = torch.where(run.held > 0, network.vector[weights], 0.0)
        if work.correction is not None:
            run.correction = place.take(self._tensor(work.correction))[weights]
        if work.scores is not None:
            run.scores = place.take(self._tensor(work.scores))
        if work.neighbour_mask is not None:
            run.neighbours = place.take(self._tensor(work.neighbour_mask))
        run.look(run.doubt, 0, "the start")
        return run, place

    def _result(self, run: Run, place: Placement) -> LocalResult:
        """What the run ends with, at the places that it has in the whole model."""
        whole, layout = place.whole, run.network.layout
        held = torch.ones(layout.size, dtype=torch.bool, device=self._device)
        if run.held is not None:
            held[layout.part("all")] = run.held.bool()
        mask = place.put(held, torch.zeros(whole.size, dtype=torch.bool, device=self._device))
        zeros = torch.zeros(whole.parameter_size, device=self._device)
        return LocalResult(
            vector=place.put(run.network.vector, self._tensor(run.work.vector)).cpu().numpy(),
            mask=mask[whole.upload].cpu().numpy(),
            loss=None if run.loss is None else run.loss.item(),
            steps=run.steps,
            batches=run.accumulated,
            sums={name: place.put(total, zeros).cpu().numpy() for name, total in run.sums.items()},
            scores=None if run.scores is None else place.put(run.scores, zeros).cpu().numpy(),
        )

    def _tensor(self, vector: Vector) -> Tensor:
        return torch.from_numpy(vector).to(self._device)


def _follow(run: Run) -> None:
    """The phases of a program one after the other."""
    for phase in run.work.program:
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
    """A mask of the shared part (N_u,) or of all weights (parameter_size,) as 0 and 1 for the whole vector, (size,)."""
    places = {layout.parameter_size: slice(0, layout.parameter_size), layout.shared_size: layout.shared}
    if mask.ndim != 1 or mask.size not in places:
        raise InputError(
            f"a mask must have shape ({layout.shared_size},) or ({layout.parameter_size},), got {mask.shape}"
        )
    whole = torch.ones(layout.size)
    whole[places[mask.size]] = torch.from_numpy(mask).float()
    return whole.numpy()
