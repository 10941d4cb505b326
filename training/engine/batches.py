"""Mini-batches of the clients, drawn on the device where the data lie."""

from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from training.data.augment import AUGMENTATIONS
from training.data.federated import FederatedData
from training.engine.program import Sample, epoch_batches
from wirelessfl.errors import InputError

Batch = tuple[Tensor, Tensor]

_EVALUATION_BATCH = 256  # larger ones fall out of the cache
_AT_ONCE = 1 << 18  # numbers of the batches that are made in one go, 1 MB


def memory_format_for(device: torch.device, *, batch_norm: bool) -> torch.memory_format:
    """Memory format of image batches: `channels_last`, but contiguous for batch norm on a CPU.

    In `channels_last` convolutions and pools of the usual small CNNs take 0.55 to 0.75 of the time
    of NCHW on a CPU, but torch's batch norm then adds up all samples and pixels of a channel in one
    float32 sum, which costs gradients two to three digits.
    """
    return torch.contiguous_format if batch_norm and device.type == "cpu" else torch.channels_last


class Batches:
    """Seeded mini-batches of normalised images (or of features as they are) and labels, for one
    client at a time.

    No batch to train on has fewer than `smallest` samples; images lie in `memory_format`. The
    augmentation that the data ask for changes batches of stored images with a generator of its own,
    so that it changes no draw of samples.
    """

    def __init__(
        self,
        data: FederatedData,
        batch_size: int,
        device: torch.device,
        *,
        smallest: int = 1,
        memory_format: torch.memory_format = torch.channels_last,
    ) -> None:
        self._batch_size, self._smallest, self._device = batch_size, smallest, device
        self._memory_format = memory_format
        self._augment = AUGMENTATIONS[data.augmentation]
        self._mean, self._std = data.mean, data.std
        self._train = _on(device, data.train_images, data.train_labels, data.train_index)
        self._test = _on(device, data.test_images, data.test_labels, data.test_index)
        for client, rows in enumerate(data.train_index):
            if min(len(rows), batch_size) < smallest:
                raise InputError(
                    f"training.batch_size and every client's samples must be at least {smallest} for a model with "
                    f"batch norm, got {batch_size} and client {client} with {len(rows)}"
                )

    def steps(self, client: int, seed: int, count: int) -> Iterator[Batch]:
        """`count` batches of one size: slices of a seeded shuffle, shuffled anew when too few
        samples are left.
        """
        return self.together([client], [seed], steps=count)

    def epochs(self, client: int, seed: int, count: int) -> Iterator[Batch]:
        """The batches of `count` epochs, which visit every sample once each."""
        return self.together([client], [seed], epochs=count)

    def together(
        self,
        clients: Sequence[int],
        seeds: Sequence[int],
        *,
        steps: int | None = None,
        epochs: int | None = None,
    ) -> Iterator[Batch]:
        """The batches of several clients whose `sizes` are the same, one client's samples behind
        the other's.
        """
        draws = [
            self._rows(client, seed, steps, epochs)
            for client, seed in zip(clients, seeds, strict=True)
        ]
        drawn = zip(*draws, strict=True)
        return (
            self._augmented(drawn, seeds)
            if self._augment
            else self._plain(map(torch.cat, drawn), len(clients))
        )

    def sizes(self, client: int, *, epochs: bool) -> tuple[int, ...]:
        """Sizes of the batches of one shuffle: of an epoch, or as many of one size as there are
        samples for.
        """
        count = len(self._train[2][client])
        if epochs:
            return tuple(epoch_batches(count, self._batch_size, self._smallest))
        size = min(self._batch_size, count)
        return (size,) * (count // size)

    def test(self, client: int, sample: Sample | None = None) -> Iterator[Batch]:
        """All test samples of a client in order, or a `sample` of its data; images are as stored."""
        images, labels, index = (
            self._train if sample is not None and sample.of == "train" else self._test
        )
        chosen = index[client]
        if sample is not None:
            generator = torch.Generator().manual_seed(sample.seed)
            chosen = chosen[
                torch.randperm(len(chosen), generator=generator)[: sample.count].to(self._device)
            ]
        for rows in chosen.split(_EVALUATION_BATCH):
            yield self._ready(images.index_select(0, rows)), labels.index_select(0, rows)

    def _plain(self, drawn: Iterator[Tensor], clients: int) -> Iterator[Batch]:
        """The batches of the samples `drawn`; as many small ones as fit into the cache are made in
        one go.

        Only where each then begins at a multiple of 64 bytes, as one that is made alone: the bits
        of matrix products depend on it.
        """
        images, labels, _ = self._train
        numbers = images[0].numel()
        at_once = 1 if numbers % 16 else max(1, _AT_ONCE // (numbers * self._batch_size * clients))
        while rows := list(islice(drawn, at_once)):
            sizes, together = [len(each) for each in rows], torch.cat(rows)
            made = self._ready(images.index_select(0, together)), labels.index_select(0, together)
            yield from zip(*(tensor.split(sizes) for tensor in made), strict=True)

    def _augmented(
        self, drawn: Iterator[tuple[Tensor, ...]], seeds: Sequence[int]
    ) -> Iterator[Batch]:
        """The batches of the samples `drawn` for each client, changed by each client's own
        generator.
        """
        assert self._augment is not None
        images, labels, _ = self._train
        # Another seed: from the same one, where a sample comes in a shuffle would say how it is
        # cropped.
        changes = [torch.Generator().manual_seed(seed + 1) for seed in seeds]
        for rows in drawn:
            parts = (
                self._augment(images.index_select(0, own), change)
                for own, change in zip(rows, changes, strict=True)
            )
            yield self._ready(torch.cat(list(parts))), labels.index_select(0, torch.cat(rows))

    def _rows(
        self, client: int, seed: int, steps: int | None, epochs: int | None
    ) -> Iterator[Tensor]:
        """The samples of each batch: slices of one seeded shuffle after another."""
        sizes = list(self.sizes(client, epochs=epochs is not None))
        return islice(
            self._shuffles(client, seed, sizes), steps if epochs is None else epochs * len(sizes)
        )

    def _shuffles(self, client: int, seed: int, sizes: list[int]) -> Iterator[Tensor]:
        rows = self._train[2][client]
        generator = torch.Generator().manual_seed(seed)
        while True:
            order = rows[torch.randperm(len(rows), generator=generator).to(self._device)]
            yield from order[: sum(sizes)].split(sizes)

    def _ready(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8:
            return images
        normalised = images.float().sub_(self._mean).div_(self._std)
        return normalised.to(memory_format=self._memory_format)


def _on(
    device: torch.device, images: Tensor, labels: Tensor, index: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    moved = {
        id(rows): rows.to(device) for rows in index
    }  # a test set that all clients share is there once
    return images.to(device), labels.to(device), tuple(moved[id(rows)] for rows in index)
