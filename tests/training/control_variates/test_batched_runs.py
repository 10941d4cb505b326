"""Runs with full gradients trained as one program give what their trainers give."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.idx import write_mnist_like
from helpers.synthetic import BLOGS, WRITERS, write_blogfeedback, write_writers

from training.control_variates import batched_runs as stacked
from training.task import Task
from wirelessfl.batched_runs import StackedRun
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.errors import DivergenceError
from wirelessfl.protocols import Runtime
from wirelessfl.values import Delivery

BLOG = {"dataset": "blogfeedback", "model": "linear"}
WRITER = {"dataset": "qmnist-writers", "model": "logistic"}
# Algorithm, its fields, seed, rounds: rounds of 1 to dozens of steps, two K, two lambda.
MIXED = [
    ("proxskip", {"probability": 0.05}, 0, 3),
    ("sparse-proxskip", {"probability": 0.2, "sparsity": 0.8}, 1, 5),
    ("sparse-proxskip-local", {"probability": 0.1, "sparsity": 0.9}, 0, 4),
    ("sparse-proxskip-local", {"probability": 0.3, "sparsity": 0.9}, 1, 6),
    ("sparse-proxskip-local", {"probability": 0.5, "sparsity": 0.8}, 2, 2),
    ("randprox-l1", {"probability": 0.2, "l1": 0.5}, 0, 3),
    ("randprox-l1", {"probability": 0.1, "l1": 0.1}, 1, 4),
    ("fediht", {"probability": 0.25, "coin": "fixed"}, 0, 4),
    ("scaffold", {"probability": 0.1}, 2, 3),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_blogfeedback(folder)
    write_mnist_like(folder, "mnist")
    write_writers(folder)
    return folder


def stack_of(root, task, clients, rate, chosen=MIXED):
    runs = []
    for number, (name, fields, seed, rounds) in enumerate(chosen):
        training = {
            "algorithm": name,
            "partition": "natural",
            "gradients": "full",
            "learning_rate": rate / (1 + number),
        }
        tables = {
            "scenario": {"clients": clients},
            "allocation": {"method": "min-latency"},
            "training": training | task | fields,
        }
        algorithm = from_tables(tables).algorithm
        runs.append(
            StackedRun(algorithm=algorithm, clients=clients, seed=seed, rounds=rounds, eval_every=2)
        )
    return runs, Runtime(data_root=root)


def close(one, other):
    assert one.shape == other.shape
    assert np.abs(one - other).max() <= 1e-10 * max(1.0, np.abs(other).max())


def check(runs, runtime):
    """Every round and the end of every run against its own trainer."""
    trained = list(runs[0].algorithm.train_stack(runs, runtime))
    for run, made in zip(runs, trained, strict=True):
        trainer = run.algorithm.trainer(clients=run.clients, seed=run.seed, runtime=runtime)
        state = trainer.init(run.seed)
        assert (len(made.rounds), made.diverged) == (run.rounds, None)
        for round, found in enumerate(made.rounds):
            demand = trainer.demand(state)
            state, metrics = trainer.step(state, np.zeros(run.clients), Delivery.all(run.clients))
            for name, values in vars(demand).items():
                assert np.array_equal(values, getattr(found.demand, name)), name
            for name in ("uplink_bits", "downlink_bits", "flops"):
                assert np.array_equal(getattr(metrics, name), getattr(found.metrics, name)), name
            assert found.metrics.loss == pytest.approx(metrics.loss, rel=1e-10)
            rounding = 1e-10 * (1 + metrics.extra["mean_control"])  # all that the sum of the h_i is
            assert dict(found.metrics.extra) == pytest.approx(
                dict(metrics.extra), rel=1e-10, abs=rounding
            )
            assert (found.accuracy is None) != run.is_due(round)
            if found.accuracy is not None:
                assert found.accuracy == pytest.approx(
                    trainer.evaluate(state), rel=1e-10, abs=1e-12
                )
        for name, values in trainer.pack(state).items():
            close(
                np.asarray(made.state[name], dtype=np.float64), np.asarray(values, dtype=np.float64)
            )
    return trained


@pytest.mark.parametrize("clients", [BLOGS, BLOGS - 1], ids=["all", "drawn"])
def test_a_mixed_stack_of_regressions_is_its_runs_alone(root, clients, monkeypatch):
    monkeypatch.setattr(stacked, "STEPS_AT_ONCE", 3)
    check(*stack_of(root, BLOG, clients, rate=3e-4))


def test_a_mixed_stack_of_classifications_is_its_runs_alone(root):
    check(*stack_of(root, WRITER, WRITERS, rate=0.05))


def test_runs_on_the_same_clients_share_gradients_whatever_their_order(root, monkeypatch):
    made, original = [], stacked.full_gradients
    monkeypatch.setattr(
        stacked, "full_gradients", lambda *args, **kw: made.append(1) or original(*args, **kw)
    )
    task = Task(**BLOG, partition="natural")
    for clients, expected in ((BLOGS, 1), (1, 2)):
        drawn = [
            task.load(clients=clients, seed=seed, data_root=root).train_index for seed in range(3)
        ]
        assert len({tuple(index[0].tolist()) for index in drawn}) > 1  # another client comes first
        runs, runtime = stack_of(root, BLOG, clients, 1e-3)
        runs[0].algorithm.train_stack(runs, runtime)
        assert len(made) == expected
        made.clear()


def test_a_diverged_run_keeps_its_rounds_and_does_not_affect_others(root):
    good, bad = (
        ("sparse-proxskip", {"probability": 0.5}, 0, 3),
        ("proxskip", {"probability": 0.01}, 1, 30),
    )
    runs, runtime = stack_of(root, BLOG, BLOGS, rate=1e-3, chosen=[good, bad])
    wild, _ = stack_of(root, BLOG, BLOGS, rate=2.0, chosen=[bad])
    both, (alone,) = (
        runs[0].algorithm.train_stack([runs[0], wild[0]], runtime),
        check(runs[:1], runtime),
    )
    assert both[0].diverged is None
    close(both[0].state["shared"], alone.state["shared"])
    trainer = wild[0].algorithm.trainer(clients=BLOGS, seed=1, runtime=runtime)
    state = trainer.init(1)
    for _ in both[1].rounds:
        state, _ = trainer.step(state, np.zeros(BLOGS), Delivery.all(BLOGS))
    with pytest.raises(DivergenceError, match=r"reduce training.learning_rate") as error:
        trainer.step(state, np.zeros(BLOGS), Delivery.all(BLOGS))
    assert both[1].diverged == str(error.value)
    assert len(both[1].rounds) < 30
    assert int(both[1].state["round"]) == state.round


def test_a_paused_stack_goes_on_from_its_states(root):
    runs, runtime = stack_of(root, BLOG, BLOGS, rate=3e-4)
    algorithm = runs[0].algorithm
    whole = algorithm.train_stack(runs, runtime)
    taken = []

    def pause(take):
        taken.append(take())
        return len(taken) == 3

    taken.append(algorithm.train_stack(runs, runtime, pause))
    parts = [[round for part in row for round in part.rounds] for row in zip(*taken, strict=True)]
    assert any(0 < len(part) < run.rounds for part, run in zip(parts, runs, strict=True))
    resumed = [
        replace(run, done=len(part), start=last.state)
        for run, part, last in zip(runs, parts, taken[-1], strict=True)
    ]
    for part, made, rest in zip(parts, whole, algorithm.train_stack(resumed, runtime), strict=True):
        again = [*part, *rest.rounds]
        assert [one.accuracy is None for one in again] == [
            one.accuracy is None for one in made.rounds
        ]
        assert [one.metrics.loss for one in again] == pytest.approx(
            [one.metrics.loss for one in made.rounds], rel=1e-10
        )
        close(rest.state["shared"], made.state["shared"])


def test_equal_arrays_of_many_rounds_are_one(root):
    runs, runtime = stack_of(
        root, BLOG, BLOGS, 1e-3, [("proxskip", {"probability": 0.1, "coin": "fixed"}, 0, 20)]
    )
    (made,) = runs[0].algorithm.train_stack(runs, runtime)
    owners = {id(round.metrics.flops) for round in made.rounds}
    assert len(owners) == 1


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"learning_rate": 0.5, "probability": 0.9, "sparsity": 0.5}, True),
        ({"algorithm": "fedht"}, True),
        ({"ridge": 7.0}, False),
        ({"evaluate_on": "validation"}, False),
    ],
    ids=str,
)
def test_runs_of_one_objective_may_be_stacked(changes, same):
    def key(**fields):
        training = (
            {"algorithm": "sparse-proxskip", "partition": "natural", "gradients": "full"}
            | BLOG
            | fields
        )
        return from_tables(
            {"allocation": {"method": "min-latency"}, "training": training}
        ).algorithm.stack_key()

    assert key() is not None
    assert (key(**changes) == key()) is same
    assert key(gradients="minibatch") is None
    assert key(sparsity_from="allocation") is None
