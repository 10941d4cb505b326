"""FL: one mini-batch a round at a server."""

import numpy as np
import pytest
import torch
from helpers.agents import TASK, rounds, started
from helpers.reference import tensors
from torch.func import functional_call

from training.algorithms.server.fedavg import FedAvg
from training.algorithms.server.fl import Fl
from wirelessfl.errors import InputError


def test_it_is_fedavg_with_one_step():
    one, metrics = rounds(Fl(task=TASK), 2)
    other, expected = rounds(FedAvg(task=TASK, local_steps=1), 2)
    assert np.array_equal(one.shared, other.shared)
    assert metrics.loss == expected.loss
    assert np.array_equal(metrics.uplink_bits, metrics.downlink_bits)


def test_the_one_model_is_judged_by_every_agents_own_test_samples():
    algorithm = Fl(task=TASK, learning_rate=0.1, local_epochs=2)
    model, layout = algorithm.method.spec().build_model()
    state, _ = rounds(algorithm, 2)
    data, weights = (
        TASK.load(clients=3, seed=0, data_root=None),
        tensors(layout, torch.tensor(state.shared)),
    )
    accuracies = []
    for rows in data.test_index:
        images = (data.test_images[rows].float() - data.mean) / data.std
        chosen = functional_call(model, weights, (images,)).argmax(1)
        accuracies.append((chosen == data.test_labels[rows]).float().mean().item())
    assert started(algorithm)[0].evaluate(state) == pytest.approx(np.mean(accuracies))
    assert len(set(accuracies)) == 3


def test_a_step_too_few_is_one_line():
    with pytest.raises(InputError, match=r"^training.local_steps must be [^\n]*-1$"):
        Fl(local_steps=-1)
