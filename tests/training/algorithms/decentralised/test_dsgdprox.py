"""DSGDProx: the pull to a held mean of the neighbourhood."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.agents import LOOP, TASK, batches, delivery, equal, rounds, row, started
from helpers.reference import gradient

from training.algorithms.decentralised.dsgd import Dsgd
from training.algorithms.decentralised.dsgdprox import Dsgdprox
from wirelessfl.errors import InputError
from wirelessfl.values import Delivery

K, MU = 3, 0.5
ALGORITHM = Dsgdprox(task=TASK, graph=row(), learning_rate=0.1, proximal_mu=MU, anchor_rounds=1)
MODEL, LAYOUT = ALGORITHM.method.spec().build_model()
W = torch.tensor([[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1 / 2, 1 / 2]], dtype=torch.float64)


@pytest.mark.parametrize(
    "fields", [{}, {"local_epochs": 1, "momentum": 0.9, "clip_norm": 1.0, "mixing": "metropolis"}]
)
def test_without_mu_it_is_dsgd_bit_for_bit(fields):
    fields = {"task": TASK, "graph": row(), "learning_rate": 0.1, **fields}
    one, _ = rounds(Dsgdprox(proximal_mu=0.0, **fields), 2)
    assert equal(one, rounds(Dsgd(**fields), 2)[0])
    pulled, _ = rounds(Dsgdprox(proximal_mu=0.5, **fields), 2)
    assert not np.array_equal(one.rows["vector"], pulled.rows["vector"])


@pytest.mark.parametrize("held", [1, 2, 3])
def test_iterations_are_those_of_the_equation(held):
    """w_i <- sum_j W_ij w_j - eta (g_i + mu (w_i - w_bar_i)), w_bar_i held for some iterations."""
    algorithm = replace(ALGORITHM, anchor_rounds=held)
    _, first = started(algorithm)
    state, _ = rounds(algorithm, 5)
    w = torch.from_numpy(first.rows["vector"].copy())
    bar = w.clone()
    for iteration in range(5):
        g = torch.stack(
            [gradient(MODEL, LAYOUT, w[k], *batch) for k, batch in enumerate(batches(K, iteration))]
        )
        step = 0.1 * (g + MU * (w - bar))
        mean = (W @ w.double()).float()
        w = mean - step
        if iteration + 1 in range(held, 6, held):
            bar = mean
    np.testing.assert_allclose(state.rows["vector"], w, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(state.rows["anchor"], bar, rtol=1e-5, atol=1e-6)


def test_every_local_step_is_pulled_to_the_same_mean():
    """With mu = 1 / eta a step lands eta g from the mean, wherever it begins, and so does the next
    one.
    """
    trainer, state = started(replace(ALGORITHM, learning_rate=1e-3, proximal_mu=1e3, local_steps=2))
    away = {**state.rows, "vector": state.rows["vector"] + np.float32(1.0)}
    after, _ = trainer.step(replace(state, rows=away), np.zeros(K), Delivery.all(K))
    assert np.abs(after.rows["vector"] - state.rows["vector"]).max() < 0.05
    np.testing.assert_allclose(after.rows["anchor"], away["vector"], atol=1e-6)


def test_a_round_alone_resumes_and_stacks_as_all_do():
    trainer, state = started(ALGORITHM)
    state, _ = trainer.step(state, np.zeros(K), Delivery.all(K))
    restored = trainer.unpack(trainer.pack(state))
    one, other = (
        trainer.step(each, np.zeros(K), delivery(participates=[0, 2]))[0]
        for each in (state, restored)
    )
    assert equal(one, other)
    assert np.array_equal(
        one.rows["anchor"][1], state.rows["anchor"][1]
    )  # an idle agent keeps its mean
    loop, stacked = (
        rounds(ALGORITHM, 2, runtime=replace(LOOP, executor=name))[0]
        for name in ("loop", "stacked")
    )
    np.testing.assert_allclose(stacked.rows["vector"], loop.rows["vector"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mu", [-0.1, float("nan"), 1e39])
def test_a_mu_that_is_none_is_one_line(mu):
    with pytest.raises(InputError, match=r"^training.proximal_mu must be [^\n]*$"):
        replace(ALGORITHM, proximal_mu=mu)


def test_an_anchor_that_is_never_renewed_is_one_line():
    with pytest.raises(InputError, match=r"^training.anchor_rounds must be at least 1, got 0$"):
        replace(ALGORITHM, anchor_rounds=0)
