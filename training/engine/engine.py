"""The engine: interprets local programs on one reused model, for one client after the other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.arrays import Mask, Vector
from training.data.federated import FederatedData
from training.engine.batches import Batches, memory_format_for
from training.engine.chain import Chain
from training.engine.compact import CompactNetworks
from training.engine.network import Network, Trainable
from training.engine.optimizer import Moments
from training.engine.program import (
    Accumulate,
    EvaluationWork,
    LocalResult,
    LocalWork,
    Prune,
    Train,
    TrainMask,
    kept_optimizer,
)
from training.engine.sgd import LocalRun, accumulate, descend, prune
from training.engine.straight_through import train_mask, train_pruned
from training.engine.update import KeptState
from training.structure.layout import Layout
from training.torch_settings import deterministic, keep_freed_memory, one_thread, tf32
from wirelessfl.errors import InputError


class Engine:
    """Training and evaluation of clients; every result depends on the given work alone.

    One network and its flat vectors serve all clients, a few more serve sub-models; data lie on the
    device in their stored form. Torch uses one thread, so that results are bitwise the same in any
    process.

    Attributes:
        batches: Mini-batches of the clients.
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
        compiled: bool = False,
    ) -> None:
        """Put model and data on the device.

        Args:
            model: The model; its tensors become views of a flat vector.
            layout: Its layout.
            data: Training and test data of all clients.
            batch_size: Samples of a full mini-batch.
            device: Device of model and data.
            personal: Names of the personal sub-modules.
            precision: "float32", "tf32" or "bfloat16".
            deterministic: Whether CUDA uses deterministic algorithms only.
            compiled: Whether the steps of chains of linear layers run compiled.

        Raises:
            InputError: A client has too few samples for the model.
        """
        keep_freed_memory()
        self._device, self._deterministic = device, deterministic
        self._compiled = compiled
        self._chains: dict[Network, Chain | None] = {}
        self._tf32 = precision == "tf32"
        self._network = Network(model, layout, device, precision)
        self.batches = Batches(
            data,
            batch_size,
            device,
            smallest=layout.smallest_batch,
            memory_format=memory_format_for(device, batch_norm=layout.batch_norm),
        )
        self._full_masks: dict[int, Mask] = {}
        self._compact = CompactNetworks(model, layout, personal, device, precision)

    def train(self, work: LocalWork) -> LocalResult:
        """Run a client's program from its start vector.

        Values are not checked during the run. If the end is not finite, the same work is repeated
        with a check after every step, to name client, round, step and tensor.

        Args:
            work: The client's local training.

        Returns:
            The client's result.

        Raises:
            InputError: The work does not fit the model.
            DivergenceError: A loss or a weight is not finite.
        """
        network = self.network(work)
        with self._computing():
            run = self._begin([work], network)
            _follow(run)
            if not _finite(run).all():
                run = self._begin([work], network, watched=True)
                # Passes without an error where only the sum in `_finite` overflowed.
                _follow(run)
            return self._results(run)[0]

    def network(self, work: LocalWork) -> Network:
        """The network for a client's work.

        Args:
            work: Local training of the whole model or of a sub-model.

        Returns:
            The engine's network, or a compact one for a sub-model.

        Raises:
            InputError: The model has no such sub-model.
        """
        return self._network if work.sub is None else self._compact.get(work.sub)

    def train_together(self, works: Sequence[LocalWork], network: Trainable) -> list[LocalResult]:
        """Run the work of several clients on one stacked network.

        Args:
            works: Local training with equal programs and equal sizes of mini-batches.
            network: A stack of their networks, which is overwritten.

        Returns:
            The results that `train` gives for each work, within rounding. A client whose result is
            not finite is trained again alone.

        Raises:
            InputError: A work does not fit the model.
            DivergenceError: A loss or a weight is not finite when trained alone.
        """
        with self._computing():
            run = self._begin(works, network)
            _follow(run)
            finite = _finite(run).tolist()
            results = self._results(run)
        return [
            result if is_finite else self.train(work)
            for work, result, is_finite in zip(works, results, finite, strict=True)
        ]

    def evaluate(self, work: EvaluationWork) -> float:
        """Evaluate a model on a client's samples.

        Args:
            work: The model and the samples.

        Returns:
            The accuracy: the fraction of correctly classified samples. For a model with numeric
                output,
            the coefficient of determination R^2 = 1 - SS_res / SS_tot: 1 is perfect, 0 as good as
            predicting the mean; also 0 where all targets are equal.
        """
        network = self._network
        with self._computing(), torch.inference_mode():
            network.vector.copy_(torch.from_numpy(work.vector))
            network.training(False)
            outputs, targets = [], []
            for inputs, labels in self.batches.test(work.client, work.sample):
                outputs.append(network.model(inputs))
                targets.append(labels)
            output = torch.cat(outputs)
            target = torch.cat(targets)
            if network.classifies:
                return (output.argmax(1) == target).sum().item() / len(target)
            residual = (output.view_as(target) - target).square().sum()
            spread = target.var(correction=0) * len(target)
            return (1.0 - residual / spread).item() if spread > 0 else 0.0

    def _begin(
        self, works: Sequence[LocalWork], network: Trainable, *, watched: bool = False
    ) -> LocalRun:
        """The run of `works` with their weights, masks and scores on `network`."""
        layout = network.layout
        weights = layout.part("all")
        for work in works:
            if work.vector.shape != (layout.size,):
                raise InputError(
                    f"a start vector must have shape ({layout.size},), got {work.vector.shape}"
                )
        network.vector.copy_(network.join([self._tensor(work.vector) for work in works]))
        network.training(True)
        run = LocalRun(network=network, batches=self.batches, works=works, watched=watched)
        run.finite_check = torch.zeros(network.vector.shape[:-1], device=self._device)

        def joined(get: Callable[[LocalWork], Vector | None]) -> Tensor | None:
            """The works' vectors of a kind, on the network; None where they have none."""
            vectors = [vector for vector in map(get, works) if vector is not None]
            return network.join([self._tensor(vector) for vector in vectors]) if vectors else None

        mask = joined(lambda work: None if work.mask is None else _whole_mask(work.mask, layout))
        if mask is not None:
            run.mask = mask[..., weights]
            network.vector[..., weights] = torch.where(
                run.mask > 0, network.vector[..., weights], 0.0
            )
        correction = joined(lambda work: work.correction)
        run.correction = None if correction is None else correction[..., weights]
        run.scores = joined(lambda work: work.scores)
        run.neighbour_mask = joined(lambda work: work.neighbour_mask)
        optimizer = kept_optimizer(works[0].program)
        if optimizer is not None:
            first = joined(lambda work: None if work.moments is None else work.moments.first)
            second = joined(lambda work: None if work.moments is None else work.moments.second)
            run.kept = KeptState(
                first=torch.zeros_like(network.gradient) if first is None else first.clone(),
                second=None,
                steps=dict(works[0].moments.steps) if works[0].moments else {},
            )
            if optimizer.adaptive:
                run.kept.second = (
                    torch.zeros_like(network.gradient) if second is None else second.clone()
                )
        if self._compiled and isinstance(network, Network):
            if network not in self._chains:
                self._chains = {network: Chain.of(network)}
            run.chain = self._chains[network]
        run.check_finite(run.finite_check, 0, "the start")
        return run

    def _results(self, run: LocalRun) -> list[LocalResult]:
        """Each client's result of a run."""
        network = run.network
        count = len(run.works)
        nothing: list[Any] = [None] * count

        def rows(vectors: Tensor | None) -> list[Any]:
            """Each client's vector as an array of its own; None for each without vectors."""
            if vectors is None:
                return nothing
            return [_array(row) for row in network.divide(vectors)]

        losses = nothing if run.loss is None else run.loss.reshape(-1).tolist()
        scores = rows(run.scores)
        sums = {name: rows(total) for name, total in run.sums.items()}
        moments: list[Moments | None] = nothing
        if run.kept is not None:
            moments = [
                Moments(first=first, second=second, steps=dict(run.kept.steps))
                for first, second in zip(rows(run.kept.first), rows(run.kept.second), strict=True)
            ]
        return [
            LocalResult(
                vector=vector,
                mask=mask,
                loss=losses[i],
                steps=run.steps,
                batches=run.accumulated,
                sums={name: each[i] for name, each in sums.items()},
                scores=scores[i],
                moments=moments[i],
            )
            for i, (vector, mask) in enumerate(
                zip(rows(network.vector), self._masks(run), strict=True)
            )
        ]

    def _masks(self, run: LocalRun) -> list[Mask]:
        """The mask (upload_size,) of each client; one array for all that keep everything."""
        layout = run.network.layout
        if run.mask is None:
            size = layout.upload_size
            if size not in self._full_masks:
                self._full_masks[size] = np.ones(size, dtype=np.bool_)
                self._full_masks[size].flags.writeable = False
            return [self._full_masks[size]] * len(run.works)
        kept = torch.ones_like(run.network.vector, dtype=torch.bool)
        kept[..., layout.part("all")] = run.mask.bool()
        return [_array(row)[layout.upload] for row in run.network.divide(kept)]

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with one_thread(), deterministic(self._deterministic), tf32(self._tf32):
            yield

    def _tensor(self, vector: Vector) -> Tensor:
        return torch.from_numpy(vector).to(self._device)


def _array(row: Tensor) -> NDArray[Any]:
    """A copy of a tensor as an array."""
    array: NDArray[Any] = row.clone().cpu().numpy()
    return array


def _finite(run: LocalRun) -> Tensor:
    """True for each client whose values are all finite, () or (clients,)."""
    return torch.isfinite(
        run.finite_check + run.network.vector.sum(-1) + (0.0 if run.loss is None else run.loss)
    )


def _follow(run: LocalRun) -> None:
    """Run the phases of a program in order."""
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
    """A mask of the shared part or of all weights, extended to the whole vector.

    Args:
        mask: Of the shared part, (N_u,), or of all weights, (parameter_size,).
        layout: Layout of the whole vector.

    Returns:
        1.0 where a value is kept, else 0.0, (size,).

    Raises:
        InputError: The mask has another shape.
    """
    places = {
        layout.parameter_size: slice(0, layout.parameter_size),
        layout.shared_size: layout.shared,
    }
    if mask.ndim != 1 or mask.size not in places:
        raise InputError(
            f"a mask must have shape ({layout.shared_size},) or ({layout.parameter_size},), "
            f"got {mask.shape}"
        )
    whole = torch.ones(layout.size)
    whole[places[mask.size]] = torch.from_numpy(mask).float()
    return whole.numpy()
