"""Data, batches and start of a work, written once for all methods."""

from functools import cache

import torch

from training.datasets.fashion_mnist import FashionMnist
from training.structure.layout import Layout
from wirelessfl import plugins
from wirelessfl.rng import Streams

STREAM = "batches"


def prepare(work, rounds, folder, data_root=None):
    """Write the tensors of `work` for `rounds` rounds to a file; returns its path.

    The shapes are those of Fashion-MNIST, whose images are used where `data_root` has them.
    """
    file = folder / f"{work.model}-{work.clients}-{work.samples}-{work.batch_size}.pt"
    if file.exists():
        return str(file)
    model = plugins.load("models", work.model)
    images, labels = _images(work, tuple(model.input_shape), data_root)
    floats = images.float()
    torch.save(
        {
            "images": images,
            "labels": labels,
            "mean": float(floats.mean()),
            "std": float(floats.std()),
            "orders": torch.stack([_orders(work, round) for round in range(rounds)]),
            "start": _start(work, model),
        },
        file,
    )
    return str(file)


def _images(work, shape, data_root):
    count = work.clients * work.samples
    if data_root is not None and shape == (1, 28, 28):
        images, labels = _photographs(data_root)
        if count <= len(images):
            return images[:count].clone(), labels[:count].clone()
    draw = torch.Generator().manual_seed(work.seed)
    labels = torch.randint(10, (count,), generator=draw)
    patterns = torch.randint(256, (10, *shape), generator=draw).float()
    noise = torch.randint(256, (count, *shape), generator=draw).float()
    return (0.3 * patterns[labels] + 0.7 * noise).to(torch.uint8), labels


@cache
def _photographs(data_root):
    found = FashionMnist().load(data_root)
    return found.train_images, found.train_labels


def _orders(work, round):
    """The engine's own batches of a round, (clients, samples)."""
    seeds = (Streams(work.seed, round).seed_for(STREAM, client) for client in range(work.clients))
    return torch.stack(
        [torch.randperm(work.samples, generator=torch.Generator().manual_seed(s)) for s in seeds]
    )


def _start(work, model):
    """The trainer's own first weights, by name."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(Streams(work.seed).seed_for("model"))
        made = model()
    names = {entry.name for entry in Layout.of(made).entries}
    return {name: tensor.clone() for name, tensor in made.state_dict().items() if name in names}
