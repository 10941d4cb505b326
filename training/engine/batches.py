"""Mini-batches of the clients, drawn on the device of the data."""

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.arrays import Vector
from training.data.augment import AUGMENTATIONS
from training.data.federated import FederatedData
from training.engine.program import SampleSelection, epoch_batches
from wirelessfl.errors import InputError

Batch = tuple[Tensor, Tensor]


class StoredBatches(NamedTuple):
    """Mini-batches as places among the samples of all clients; see `Batches.stored`."""

    inputs: NDArray[Any]
    labels: NDArray[np.int64]
    numbers: Vector
    rows: NDArray[np.int64]
    sizes: NDArray[np.int64]
    mean: float
    std: float


_EVALUATION_BATCH = 256  # larger ones exceed the cache
_AT_ONCE = 1 << 18  # float32 values gathered at once, 1 MB


def memory_format_for(device: torch.device, *, batch_norm: bool) -> torch.memory_format:
    """Memory format of image batches: `channels_last`, but contiguous for batch norm on a CPU.

    In `channels_last` convolutions and pools of the usual small CNNs take 0.55 to 0.75 of the time
    of NCHW on a CPU, but torch's batch norm then adds up all samples and pixels of a channel in one
    float32 sum, which costs gradients two to three digits.

    Args:
        device: Device of the mini-batches.
        batch_norm: Whether the model has batch norms.

    Returns:
        The memory format.
    """
    return torch.contiguous_format if batch_norm and device.type == "cpu" else torch.channels_last


class Batches:
    """Seeded mini-batches of normalised images (or of unchanged features) and labels.

    The data's augmentation has a generator of its own, so that it changes no draw of samples.
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
        """Put the data on a device.

        Args:
            data: Training and test data of all clients.
            batch_size: Samples of a full mini-batch.
            device: Device of data and mini-batches.
            smallest: Smallest mini-batch to train on.
            memory_format: Memory format of the mini-batches of images.

        Raises:
            InputError: A mini-batch would have fewer than `smallest` samples.
        """
        self._batch_size = batch_size
        self._smallest = smallest
        self._device = device
        self._memory_format = memory_format
        self._augment = AUGMENTATIONS[data.augmentation]
        self._mean = data.mean
        self._std = data.std
        self._train = _on(device, data.train_images, data.train_labels, data.train_index)
        self._test = _on(device, data.test_images, data.test_labels, data.test_index)
        for client, rows in enumerate(data.train_index):
            if min(len(rows), batch_size) < smallest:
                raise InputError(
                    f"training.batch_size and every client's samples must be at least {smallest} "
                    f"for a model with batch norm, got {batch_size} and client {client} with "
                    f"{len(rows)}"
                )

    def steps(self, client: int, seed: int, count: int) -> Iterator[Batch]:
        """Full mini-batches: slices of a shuffle, repeated when too few samples are left.

        Args:
            client: Number of the client.
            seed: Seed of the shuffles.
            count: Number of mini-batches.

        Returns:
            Inputs (batch, ...) and targets (batch,) of each mini-batch, all of one size.
        """
        return self.together([client], [seed], steps=count)

    def epochs(self, client: int, seed: int, count: int) -> Iterator[Batch]:
        """Mini-batches of epochs, each of which visits every sample once.

        Args:
            client: Number of the client.
            seed: Seed of the shuffles.
            count: Number of epochs.

        Returns:
            Inputs (batch, ...) and targets (batch,) of each mini-batch.
        """
        return self.together([client], [seed], epochs=count)

    def together(
        self,
        clients: Sequence[int],
        seeds: Sequence[int],
        *,
        steps: int | None = None,
        epochs: int | None = None,
    ) -> Iterator[Batch]:
        """Mini-batches of several clients with the same `sizes`.

        Args:
            clients: Numbers of the clients.
            seeds: Seed of each client's shuffles.
            steps: Number of mini-batches; exactly one of `steps` and `epochs` is given.
            epochs: Number of epochs.

        Returns:
            Inputs (clients * batch, ...) and targets (clients * batch,) of each step, client after
            client.
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

    @property
    def augmented(self) -> bool:
        """True if training images are augmented."""
        return self._augment is not None

    def stored(
        self, client: int, seed: int, *, steps: int | None, epochs: int | None
    ) -> StoredBatches:
        """The mini-batches of a phase as places among all samples.

        Args:
            client: Number of the client.
            seed: Seed of the shuffles.
            steps: Number of mini-batches; exactly one of `steps` and `epochs` is given.
            epochs: Number of epochs.

        Returns:
            Inputs of all samples as stored (N, inputs), their labels and, for a regression, their
            targets (N,), rows of the mini-batches one after the other, size of each, mean and
            standard deviation by which inputs are normalised.
        """
        images, labels, _ = self._train
        once = self.sizes(client, epochs=epochs is not None)  # of one shuffle
        count = epochs * len(once) if epochs is not None else steps or 0
        sizes = np.array(once * math.ceil(count / max(1, len(once))), dtype=np.int64)[:count]
        orders = islice(self._orders(client, seed), math.ceil(count / max(1, len(once))))
        drawn = [order[: sum(once)] for order in orders]
        rows = torch.cat(drawn)[: sizes.sum()] if drawn else torch.zeros(0, dtype=torch.int64)
        is_image = images.dtype == torch.uint8
        is_label = labels.dtype == torch.int64
        nothing = labels[:0]
        return StoredBatches(
            images.flatten(1).numpy(),
            (labels if is_label else nothing.long()).numpy(),
            (nothing.float() if is_label else labels).numpy(),
            rows.numpy(),
            sizes,
            self._mean if is_image else 0.0,
            self._std if is_image else 1.0,
        )

    def sizes(self, client: int, *, epochs: bool) -> tuple[int, ...]:
        """Sizes of the mini-batches of one shuffle.

        Args:
            client: Number of the client.
            epochs: True for an epoch; False for full mini-batches only.

        Returns:
            One size for each mini-batch.
        """
        count = len(self._train[2][client])
        if epochs:
            return tuple(epoch_batches(count, self._batch_size, self._smallest))
        size = min(self._batch_size, count)
        return (size,) * (count // size)

    def test(self, client: int, sample: SampleSelection | None = None) -> Iterator[Batch]:
        """Mini-batches for evaluation, without augmentation.

        Args:
            client: Number of the client.
            sample: Samples to use; all test samples in order if None.

        Yields:
            Inputs (batch, ...) and targets (batch,) of each mini-batch.
        """
        images, labels, index = (
            self._train if sample is not None and sample.of == "train" else self._test
        )
        chosen = index[client]
        if sample is not None:
            generator = torch.Generator().manual_seed(sample.seed)
            chosen = chosen[
                torch.randperm(len(chosen), generator=generator)[: sample.count].to(self._device)
            ]
        for rows in torch.split(chosen, _EVALUATION_BATCH):
            yield self._ready(images.index_select(0, rows)), labels.index_select(0, rows)

    def _plain(self, drawn: Iterator[Tensor], clients: int) -> Iterator[Batch]:
        """The mini-batches of the `drawn` samples without augmentation.

        Several small ones are gathered at once where they fit into the cache. Only if each then
        starts at a multiple of 64 bytes like one gathered alone: the bits of matrix products depend
        on the alignment.
        """
        images, labels, _ = self._train
        values = images[0].numel()  # of a sample
        at_once = 1 if values % 16 else max(1, _AT_ONCE // (values * self._batch_size * clients))
        while rows := list(islice(drawn, at_once)):
            sizes = [len(each) for each in rows]
            together = torch.cat(rows)
            inputs = self._ready(images.index_select(0, together))
            targets = labels.index_select(0, together)
            yield from zip(torch.split(inputs, sizes), torch.split(targets, sizes), strict=True)

    def _augmented(
        self, drawn: Iterator[tuple[Tensor, ...]], seeds: Sequence[int]
    ) -> Iterator[Batch]:
        """The mini-batches of the `drawn` samples, augmented by each client's generator."""
        assert self._augment is not None
        images, labels, _ = self._train
        # A seed of its own: with the same one, the place in the shuffle would determine the crop.
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
        """The samples of each mini-batch: slices of one seeded shuffle after another."""
        sizes = list(self.sizes(client, epochs=epochs is not None))
        return islice(
            self._shuffles(client, seed, sizes), steps if epochs is None else epochs * len(sizes)
        )

    def _shuffles(self, client: int, seed: int, sizes: list[int]) -> Iterator[Tensor]:
        for order in self._orders(client, seed):
            yield from torch.split(order[: sum(sizes)], sizes)

    def _orders(self, client: int, seed: int) -> Iterator[Tensor]:
        """The client's samples in one seeded order after another."""
        rows = self._train[2][client]
        generator = torch.Generator().manual_seed(seed)
        while True:
            yield rows[torch.randperm(len(rows), generator=generator).to(self._device)]

    def _ready(self, images: Tensor) -> Tensor:
        if images.dtype != torch.uint8:
            return images
        normalised = images.float().sub_(self._mean).div_(self._std)
        return normalised.to(memory_format=self._memory_format)


def _on(
    device: torch.device, images: Tensor, labels: Tensor, index: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Inputs, targets and each client's rows on a device; rows that clients share stay shared."""
    moved = {id(rows): rows.to(device) for rows in index}  # one copy of a common test set
    return images.to(device), labels.to(device), tuple(moved[id(rows)] for rows in index)
