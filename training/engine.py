"""The engine: interprets local programs on one reused model, for one client after the other."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.data._federated import FederatedData
from training.layout import Layout
from training.masks import keep_most_important, prune_count
from training.program import EvaluationWork, LocalResult, LocalWork, Mask, Part, Prune, Train, personal_rate
from wirelessfl import plugins
from wirelessfl.errors import InputError

_EVALUATION_BATCH = 256  # larger ones fall out of the cache


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
        personal: tuple[str, ...] = model.personal if self.personalised else ()  # type: ignore[assignment]
        layout = Layout.of(model, personal)
        if self.personalised and not 0 < layout.personal_size < layout.size:
            raise InputError(f"training.model {self.model!r} must have a personal and a shared part, got {personal}")
        return model, layout

    def build(self, data: FederatedData) -> "Engine":
        """The engine on `data`."""
        model, layout = self.build_model()
        return Engine(model, layout, data, batch_size=self.batch_size, device=torch.device(self.device))


class Engine:
    """Trains and evaluates clients one at a time; every result is a function of the work given, of nothing before it.

    Parameters are views of one flat vector and gradients views of another, so an SGD step is one operation. Data lie
    on the device as uint8. One torch thread: results are bitwise the same in any process.
    """

    def __init__(
        self, model: nn.Module, layout: Layout, data: FederatedData, *, batch_size: int, device: torch.device
    ) -> None:
        _keep_freed_memory()
        self._layout, self._batch_size, self._device = layout, batch_size, device
        self._mean, self._std = data.mean, data.std
        self._train = _on(device, data.train_images, data.train_labels, data.train_index)
        self._test = _on(device, data.test_images, data.test_labels, data.test_index)
        self._vector = torch.zeros(layout.size, device=device)
        self._gradient = torch.zeros(layout.size, device=device)
        self._model = model.to(device)
        layout.bind(self._model, self._vector, self._gradient)
        self._parameters = dict(self._model.named_parameters())

    def train(self, work: LocalWork) -> LocalResult:
        """The client's program from its start vector; `InputError` when the loss or a weight is no longer finite."""
        with _one_thread():
            self._vector.copy_(torch.from_numpy(work.vector))
            mask: Tensor | None = None
            loss: Tensor | None = None
            for phase in work.program:
                if isinstance(phase, Prune):
                    mask = self._prune(phase, work)
                elif phase.steps > 0:
                    loss = self._descend(phase, work, mask)
            self._check_finite(work, loss)
            return LocalResult(
                vector=self._vector.cpu().numpy().copy(),
                mask=self._as_mask(mask),
                loss=None if loss is None else loss.item(),
            )

    def evaluate(self, work: EvaluationWork) -> float:
        """Fraction of the client's test samples that the model puts into the right class."""
        images, labels, index = self._test
        with _one_thread(), torch.inference_mode():
            self._vector.copy_(torch.from_numpy(work.vector))
            correct = torch.zeros((), dtype=torch.int64, device=self._device)
            for rows in index[work.client].split(_EVALUATION_BATCH):
                logits = self._model(self._normalise(images.index_select(0, rows)))
                correct += (logits.argmax(1) == labels.index_select(0, rows)).sum()
            return correct.item() / len(index[work.client])

    def _prune(self, phase: Prune, work: LocalWork) -> Tensor | None:
        """Zero the least important weights of the shared part: eq. (6), (9); a float mask (N_u,), None = all kept."""
        shared = self._vector[self._layout.shared]
        pruned = prune_count(work.pruning_ratio, shared.numel())
        if pruned == 0:
            return None
        start = shared.clone()
        trial = Train(part="shared", steps=phase.steps, learning_rate=phase.learning_rate, stream=phase.stream)
        self._descend(trial, work, None)
        importance = (shared - start).abs_().cpu().numpy()
        mask = torch.from_numpy(keep_most_important(importance, pruned)).to(self._device)
        shared.copy_(torch.where(mask, start, 0.0))
        return mask.float()

    def _descend(self, phase: Train, work: LocalWork, mask: Tensor | None) -> Tensor:
        """The steps of one phase; the mean mini-batch loss, on the device."""
        layout, total = self._layout, torch.zeros((), device=self._device)
        rates = []
        if phase.part != "shared":
            rates.append((layout.personal, personal_rate(phase) if phase.part == "all" else phase.learning_rate))
        if phase.part != "personal":
            rates.append((layout.shared, phase.learning_rate))
        self._require(phase.part)
        seed = work.streams.seed_for(phase.stream, work.client)
        for _, (images, labels) in zip(range(phase.steps), self._batches(work.client, seed), strict=False):
            self._gradient.zero_()
            loss = F.cross_entropy(self._model(images), labels)
            loss.backward()
            if mask is not None:
                self._gradient[layout.shared].mul_(mask)
            for part, rate in rates:
                self._vector[part].add_(self._gradient[part], alpha=-rate)
            total += loss.detach()
        return total / phase.steps

    def _require(self, part: Part) -> None:
        """Gradients for `part` only: autograd then stops where nothing behind it is trained."""
        for entry in self._layout.entries:
            personal = entry.offset < self._layout.personal_size
            self._parameters[entry.name].requires_grad_(part == "all" or (part == "personal") == personal)

    def _batches(self, client: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Endless mini-batches of a client: slices of a seeded shuffle, shuffled anew when too few are left."""
        images, labels, index = self._train
        rows = index[client]
        size = min(self._batch_size, len(rows))
        generator = torch.Generator().manual_seed(seed)
        while True:
            order = rows[torch.randperm(len(rows), generator=generator).to(self._device)]
            for start in range(0, len(rows) - size + 1, size):
                batch = order[start : start + size]
                yield self._normalise(images.index_select(0, batch)), labels.index_select(0, batch)

    def _normalise(self, images: Tensor) -> Tensor:
        # channels_last: convolutions and pools of the usual small CNNs take 0.55 to 0.75 of the time of NCHW on a CPU.
        return images.float().sub_(self._mean).div_(self._std).to(memory_format=torch.channels_last)

    def _as_mask(self, mask: Tensor | None) -> Mask:
        if mask is None:
            mask = torch.ones(self._layout.shared_size)
        return mask.bool().cpu().numpy()

    def _check_finite(self, work: LocalWork, loss: Tensor | None) -> None:
        watched = self._vector.sum() if loss is None else self._vector.sum() + loss
        if not torch.isfinite(watched):
            raise InputError(
                f"training diverged: client {work.client}, round {work.streams.round + 1}, loss "
                f"{'none' if loss is None else f'{loss.item():g}'}; reduce training.learning_rate"
            )


def _on(
    device: torch.device, images: Tensor, labels: Tensor, index: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    return images.to(device), labels.to(device), tuple(rows.to(device) for rows in index)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One torch thread inside, the caller's number outside."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@cache
def _keep_freed_memory() -> None:
    """Let glibc keep freed activations instead of returning them to the system.

    Else every step maps and faults in its activations of some MB anew, which is up to a third of a small CNN's step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        m_trim_threshold, m_mmap_threshold = -1, -3
        mallopt(m_mmap_threshold, 1 << 30)
        mallopt(m_trim_threshold, (1 << 31) - 1)
