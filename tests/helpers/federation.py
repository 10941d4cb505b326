"""Synthetic federated data and engines that need no files."""

import numpy as np
import torch

from training.data.federated import FederatedData
from training.engine.engine import Engine
from training.engine.program import LocalWork, Program, Prune, Train
from training.engine.spec import EngineSpec
from training.structure.layout import Layout, Part
from wirelessfl.rng import Streams

SPEC = EngineSpec(model="digits-cnn", personalised=True, batch_size=16, device="cpu")


def made_up_data(clients: int = 3, samples: int = 40, tests: int = 24) -> FederatedData:
    """Random 8x8 images with random labels, divided equally.

    Args:
        clients: Number of clients.
        samples: Number of training samples of each client.
        tests: Number of test samples of each client.
    """
    generator = torch.Generator().manual_seed(11)

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.randint(0, 256, (count, 1, 8, 8), generator=generator).to(torch.uint8)
        return images, torch.randint(0, 10, (count,), generator=generator)

    train_images, train_labels = part(clients * samples)
    test_images, test_labels = part(clients * tests)
    return FederatedData(
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        mean=127.0,
        std=74.0,
        classes=10,
        train_index=tuple(torch.arange(clients * samples).split(samples)),
        test_index=tuple(torch.arange(clients * tests).split(tests)),
    )


def start_vector(spec: EngineSpec = SPEC) -> tuple[np.ndarray, Layout]:
    """Seeded initial weights of the spec's model, and their layout."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model, layout = spec.build_model()
    return layout.flatten(model).numpy(), layout


def engine(spec: EngineSpec = SPEC, data: FederatedData | None = None) -> Engine:
    """An engine on synthetic data."""
    return spec.build(made_up_data() if data is None else data)


def work(
    program: Program,
    *,
    client: int = 0,
    ratio: float = 0.0,
    round: int = 0,
    spec: EngineSpec = SPEC,
) -> LocalWork:
    """One client's work on the seeded initial weights."""
    vector, _ = start_vector(spec)
    return LocalWork(
        client=client,
        vector=vector,
        program=program,
        pruning_ratio=ratio,
        streams=Streams(3, round),
    )


def train(part: Part, steps: int = 2, rate: float = 0.05, stream: str = "batches/shared") -> Train:
    """A training phase."""
    return Train(part=part, steps=steps, learning_rate=rate, stream=stream)


PRUNE = Prune(steps=1, learning_rate=0.05, stream="batches/importance")
ALGORITHM_1: Program = (train("personal", stream="batches/personal"), PRUNE, train("shared"))
