"""Integer inputs: a data set of tokens and a model with an embedding, in every family."""

from contextlib import closing
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from training.algorithms.decentralised.dsgd import Dsgd
from training.algorithms.server.fedalt import FedAlt
from training.algorithms.server.fedavg import FedAvg
from training.algorithms.server.prunefl import Prunefl
from training.data.card import Card
from training.data.dataset import Dataset
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.values import Delivery

K, LENGTH, WORDS = 2, 6, 20


class Sentences:
    """Rows of tokens; the class is the parity of the first one."""

    card: ClassVar[Card] = Card(name="sentences", train=80, test=40, shape=(LENGTH,), classes=2)

    def load(self, data_root=None):
        generator = torch.Generator().manual_seed(1)
        parts = []
        for rows in (80, 40):
            tokens = torch.randint(0, WORDS, (rows, LENGTH), generator=generator)
            parts.append((tokens, tokens[:, 0] % 2))
        return Dataset.of("sentences", train=parts[0], test=parts[1], classes=2)


class WordModel(nn.Module):
    """The mean of embedded tokens, and one layer."""

    input_shape: ClassVar[tuple[int, ...]] = (LENGTH,)
    classes: ClassVar[int] = 2
    vocabulary: ClassVar[int] = WORDS

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 8)
        self.fc = nn.Linear(8 * LENGTH, 2)

    def forward(self, tokens):
        return self.fc(self.embedding(tokens).flatten(1))


class FewWords(WordModel):
    """A model that knows too few tokens."""

    vocabulary: ClassVar[int] = 5


def task(**fields):
    chosen = {"dataset": Sentences, "model": WordModel, "partition": "iid", "batch_size": 8}
    return Task(**chosen | fields)


def rounds(algorithm, executor="loop", count=30):
    runtime = Runtime(executor=executor)
    with closing(algorithm.trainer(clients=K, seed=0, runtime=runtime)) as trainer:
        state = trainer.init(0)
        ratios = np.full(K, 0.2) * (algorithm.demand(K).prunable_upload_bits > 0)
        for _ in range(count):
            state, metrics = trainer.step(state, ratios, Delivery.all(K))
        assert metrics.flops.min() > 0
        return trainer.evaluate(state), trainer.pack(state)


@pytest.mark.parametrize(
    ("cls", "fields"),
    [
        (FedAvg, {}),
        (FedAlt, {"personal": "head"}),
        (Prunefl, {}),
        (Dsgd, {}),
    ],
)
def test_a_model_of_tokens_learns(cls, fields):
    assert rounds(cls(task=task(**fields), learning_rate=0.5))[0] > 0.75


def test_executors_agree():
    algorithm = FedAvg(task=task(), learning_rate=0.5)
    loop, stacked = (rounds(algorithm, name, 2)[1]["shared"] for name in ("loop", "stacked"))
    np.testing.assert_allclose(stacked, loop, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": FewWords}, "must have a vocabulary above 19"),
        ({"dataset": "digits"}, "must fit data set 'digits'"),
    ],
)
def test_tokens_that_do_not_fit_are_refused_in_one_line(fields, words):
    with pytest.raises(InputError, match=words) as error:
        task(**fields).load(clients=K, seed=0, data_root=None)
    assert "\n" not in str(error.value)


class Numbers(nn.Module):
    """A model of features."""

    input_shape: ClassVar[tuple[int, ...]] = (LENGTH,)
    classes: ClassVar[int] = 2

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(LENGTH, 2)

    def forward(self, features):
        return self.fc(features)


def test_a_model_of_numbers_refuses_tokens():
    with pytest.raises(InputError, match=r"must take tokens for data set .*no vocabulary"):
        task(model=Numbers).load(clients=K, seed=0, data_root=None)


def test_tokens_below_zero_are_refused():
    rows = torch.full((4, 3), -1)
    labels = torch.arange(4) % 2
    with pytest.raises(InputError, match="tokens must be at least 0, got -1"):
        Dataset.of("words", train=(rows, labels), test=(rows, labels), classes=2)
