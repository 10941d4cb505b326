"""The work of every method: the same start, data, batches and hyper-parameters.

Needs torch alone, as it also runs in the peers' environments.
"""

import json
import sys
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True, kw_only=True)
class Work:
    """One local epoch of SGD on each of `clients` clients with `samples` samples each.

    The average has no weights.
    """

    model: str
    clients: int
    samples: int
    batch_size: int
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    seed: int = 0

    def __str__(self):
        return f"{self.model}, {self.clients} x {self.samples}, batch {self.batch_size}"


@dataclass(frozen=True)
class WorkItem:
    """The task of one process: `work` with the tensors in `file`, by `method`.

    `empty` rounds train nothing.
    """

    work: Work
    file: str
    method: str
    threads: int = 1
    device: str = "cpu"
    precision: str = "float32"
    empty: bool = False
    rounds: int = 1

    @classmethod
    def from_command_line(cls):
        fields = json.loads(sys.argv[1])
        return cls(**(fields | {"work": Work(**fields["work"])}))

    def to_command_line(self):
        return json.dumps(asdict(self))

    def load(self):
        """The tensors: images, labels, mean, std, orders (rounds, clients, samples), start."""
        return torch.load(self.file, weights_only=True, mmap=True)


def normalised(made):
    """All images as floats."""
    return made["images"].float().sub_(made["mean"]).div_(made["std"])


def rows(made, client, round):
    """Row indices of a client's samples in the order of a round's batches."""
    order = made["orders"][(round - 1) % len(made["orders"]), client]
    return order + client * len(order)


class PlainCnn(nn.Module):
    """The CNN of 1,663,370 parameters as written in papers.

    With `pool_first` ReLU follows the pool, which has the same values and a quarter of the work.
    """

    def __init__(self, *, pool_first=False):
        super().__init__()
        self.pool_first = pool_first
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.fc1 = nn.Linear(3136, 512)
        self.fc2 = nn.Linear(512, 10)

    def forward(self, images):
        hidden = images
        for convolution in (self.conv1, self.conv2):
            hidden = convolution(hidden)
            if self.pool_first:
                hidden = F.relu(F.max_pool2d(hidden, 2))
            else:
                hidden = F.max_pool2d(F.relu(hidden), 2)
        return self.fc2(F.relu(self.fc1(hidden.flatten(1))))


def lean_epoch(model, work, inputs, labels, order, **update):
    """Mean loss of one epoch over the rows in `order`, without DataLoader and copies."""
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=work.learning_rate,
        momentum=work.momentum,
        weight_decay=work.weight_decay,
        **update,
    )
    total = 0.0
    batches = order.split(work.batch_size)
    for batch in batches:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs.index_select(0, batch)), labels.index_select(0, batch))
        loss.backward()
        optimizer.step()
        total += loss.detach()
    return total / len(batches)
