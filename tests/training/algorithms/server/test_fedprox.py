"""FedProx: the proximal term, and work that differs from client to client."""

import numpy as np
import pytest

from training.algorithms.server.fedavg import FedAvg
from training.algorithms.server.fedprox import FedProx
from training.engine.program import Train
from training.task import Task
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery

K = 4
TASK = Task(partition="dirichlet", batch_size=16)
FRACTIONS = (0.25, 0.5, 0.75)
ALL = Delivery.all(K)


def start(algorithm, seed=0):
    trainer = algorithm.trainer(clients=K, seed=seed, runtime=Runtime(executor="loop"))
    return trainer, trainer.init(seed)


def two_rounds(algorithm):
    trainer, state = start(algorithm)
    for _ in range(2):
        state, metrics = trainer.step(state, np.zeros(K), ALL)
    return state.shared, metrics


@pytest.mark.parametrize("fields", [{}, {"local_epochs": 1, "momentum": 0.9}])
def test_without_mu_and_with_equal_work_it_is_fedavg_bit_for_bit(fields):
    one, metrics = two_rounds(FedProx(task=TASK, proximal_mu=0.0, **fields))
    other, expected = two_rounds(FedAvg(task=TASK, **fields))
    assert np.array_equal(one, other)
    assert metrics.loss == expected.loss
    assert not np.array_equal(one, two_rounds(FedProx(task=TASK, proximal_mu=0.5, **fields))[0])


def test_mu_holds_the_model_near_its_start():
    moved = []
    for mu in (0.0, 5.0):
        trainer, state = start(
            FedProx(task=TASK, proximal_mu=mu, local_steps=20, learning_rate=0.1)
        )
        moved.append(np.linalg.norm(trainer.step(state, np.zeros(K), ALL)[0].shared - state.shared))
    assert moved[1] < 0.7 * moved[0]


def test_the_work_of_a_round_is_drawn_and_the_demand_and_the_costs_follow_it():
    algorithm = FedProx(task=TASK, work_fractions=FRACTIONS, local_steps=8)
    trainer, state = start(algorithm)
    dense = FedAvg(task=TASK, local_steps=8).demand(K).fixed_updates
    _, full = start(FedAvg(task=TASK, local_steps=8))[0].step(state, np.zeros(K), ALL)
    seen = set()
    for _ in range(3):
        asked = trainer.demand(state).fixed_updates / dense
        drawn = [Streams(0, state.round).generator("work", k).choice(FRACTIONS) for k in range(K)]
        np.testing.assert_allclose(asked, drawn)
        state, metrics = trainer.step(state, np.zeros(K), ALL)
        np.testing.assert_allclose(metrics.flops / full.flops, drawn)
        seen.update(drawn)
    assert seen == set(FRACTIONS)
    np.testing.assert_allclose(algorithm.demand(K).fixed_updates, 0.5 * dense)


def test_a_share_of_an_epoch_is_steps_and_never_none():
    method = FedProx(task=TASK, work_fractions=(0.25,), local_epochs=2).method
    lengths = {n: method.program_of(0, Streams(0), n)[0].steps for n in (1, 2, 7, 8)}
    assert lengths == {1: 1, 2: 1, 7: 4, 8: 4}  # round(0.5) is 0, round(3.5) is 4
    trainer, state = start(FedProx(task=TASK, work_fractions=(0.25,), local_epochs=1))
    whole = start(FedAvg(task=TASK, local_epochs=1))[0].demand(state).fixed_updates / len(
        state.shared
    )
    parts = trainer.demand(state).fixed_updates / len(state.shared)
    np.testing.assert_array_equal(parts, np.maximum(1, np.round(whole / 4)))


def test_a_draw_does_not_depend_on_the_other_clients():
    algorithm = FedProx(task=TASK, work_fractions=FRACTIONS)
    few, many = (algorithm.method.demand(k, [4] * k, Streams(3, 5)).fixed_updates for k in (2, 6))
    np.testing.assert_array_equal(few, many[:2])


def test_fields_reach_the_program():
    fields = {"learning_rate": 0.3, "momentum": 0.9, "weight_decay": 1e-4, "clip_norm": 5.0}
    assert FedProx(local_epochs=2, proximal_mu=0.1, **fields).method.program == (
        Train(part="shared", epochs=2, stream="batches/shared", proximal=0.1, **fields),
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"proximal_mu": -1}, "training.proximal_mu must be at least 0, got -1"),
        ({"work_fractions": ()}, "training.work_fractions must have at least one number, got none"),
        ({"work_fractions": (0.5, 0.0)}, "training.work_fractions must be above 0, got 0"),
        ({"work_fractions": (1.5,)}, "training.work_fractions must be at most 1, got 1.5"),
        ({"clip_norm": 0}, "training.clip_norm must be above 0, got 0"),
    ],
)
def test_bad_fields_are_refused_at_once(fields, said):
    with pytest.raises(InputError, match=said):
        FedProx(**fields)
