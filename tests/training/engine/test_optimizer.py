"""Adam, AdamW, schedules of the learning rate, and optimisers that keep their state."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.cli import call
from helpers.federation import PRUNE, SPEC, engine, made_up_data, start_vector, train, work

from training.algorithms.server.fedalt import FedAlt
from training.algorithms.server.fedavg import FedAvg
from training.algorithms.submodels.ca_hfp import CaHfp
from training.engine.optimizer import Moments, Optimizer, Schedule
from training.engine.program import Train
from training.executors.graph import GraphExecutor
from training.executors.loop import LoopExecutor
from training.executors.stacked import StackedExecutor
from training.executors.workers import WorkersExecutor
from training.task import Task
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.errors import InputError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams
from wirelessfl.values import Delivery

START, LAYOUT = start_vector()
DATA = made_up_data()
CLIENT, STREAM, RATE = 1, "batches/shared", 0.01
ADAM = Optimizer(optimizer="adam", adam_beta1=0.8, adam_beta2=0.95, adam_epsilon=1e-6)
KEPT = replace(ADAM, optimizer_state="keep")


def phase(steps=5, part="all", **fields):
    return Train(part=part, steps=steps, learning_rate=RATE, stream=STREAM, **fields)


def by_torch(cls, steps, **settings):
    """An optimiser of torch on a model of its own, on the batches that `Train` specifies."""
    model, layout = SPEC.build_model()
    layout.fill(model, torch.from_numpy(START.copy()))
    optimizer = cls(model.parameters(), lr=RATE, foreach=False, **settings)
    generator = torch.Generator().manual_seed(Streams(3, 0).seed_for(STREAM, CLIENT))
    rows = []
    while len(rows) < steps:
        order = DATA.train_index[CLIENT][torch.randperm(40, generator=generator)]
        rows += [order[:16], order[16:32]]
    for batch in rows[:steps]:
        optimizer.zero_grad()
        images = (DATA.train_images[batch].float() - 127.0) / 74.0
        F.cross_entropy(model(images), DATA.train_labels[batch]).backward()
        optimizer.step()
    return layout.flatten(model).numpy()


@pytest.mark.parametrize(
    ("name", "cls", "decay"),
    [
        ("adam", torch.optim.Adam, 0.0),
        ("adam", torch.optim.Adam, 0.1),
        ("adamw", torch.optim.AdamW, 0.1),
    ],
)
def test_a_step_is_that_of_torch(name, cls, decay):
    program = (phase(optimizer=replace(ADAM, optimizer=name), weight_decay=decay),)
    result = engine(SPEC, DATA).train(work(program, client=CLIENT))
    expected = by_torch(cls, 5, betas=(0.8, 0.95), eps=1e-6, weight_decay=decay)
    np.testing.assert_allclose(result.vector, expected, atol=1e-5)
    assert np.abs(expected - START).max() > 0.01


def test_the_parts_of_a_model_may_have_two_rates():
    program = (phase(optimizer=ADAM, personal_learning_rate=0.0),)
    result = engine(SPEC, DATA).train(work(program))
    assert np.array_equal(result.vector[LAYOUT.personal], START[LAYOUT.personal])
    assert not np.array_equal(result.vector[LAYOUT.shared], START[LAYOUT.shared])


def test_pruned_weights_stay_at_zero():
    settings = {"optimizer": replace(KEPT, optimizer="adamw"), "weight_decay": 0.1}
    program = (PRUNE, phase(part="shared", **settings))
    ones = np.ones(LAYOUT.parameter_size, np.float32)
    begun = Moments(first=ones, second=ones.copy(), steps={"shared": 3})
    result = engine(SPEC, DATA).train(replace(work(program, ratio=0.5), moments=begun))
    pruned = result.vector[LAYOUT.shared][~result.mask]
    assert pruned.size == LAYOUT.shared_size / 2
    assert not pruned.any()
    assert not np.signbit(pruned).any()
    assert not result.moments.first[LAYOUT.shared][~result.mask].any()
    assert result.moments.steps == {"shared": 8}


@pytest.mark.parametrize(
    "settings",
    [{"optimizer": KEPT}, {"optimizer": Optimizer(optimizer_state="keep"), "momentum": 0.9}],
)
def test_a_kept_state_continues_the_same_optimiser(settings):
    """Four steps at once, and two and two on the same mini-batches, are the same bits."""
    runner = engine(SPEC, DATA)
    whole = runner.train(work((phase(4, **settings),)))
    first = runner.train(work((phase(2, **settings),)))
    draw = runner.batches.together

    def rest(clients, seeds, *, steps, epochs):
        return iter(list(draw(clients, seeds, steps=4, epochs=epochs))[2:])

    runner.batches.together = rest
    then = replace(work((phase(2, **settings),)), vector=first.vector)
    second = runner.train(replace(then, moments=first.moments))
    assert np.array_equal(second.vector, whole.vector)
    assert np.array_equal(second.moments.first, whole.moments.first)
    assert second.moments.steps == whole.moments.steps
    assert not np.array_equal(runner.train(then).vector, whole.vector)


EXECUTORS = {
    "workers": lambda: WorkersExecutor(SPEC, DATA, 1),
    "stacked": lambda: StackedExecutor(SPEC, DATA),
    "graph": lambda: GraphExecutor(SPEC, DATA),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n == "workers" else []) for n in EXECUTORS]
)
def test_every_executor_has_the_same_optimiser(name):
    schedule = Schedule(schedule="cosine", cosine_rounds=4)
    program = (
        train("personal"),
        PRUNE,
        phase(3, "shared", optimizer=KEPT, weight_decay=0.01, schedule=schedule),
    )
    loop = LoopExecutor(SPEC, DATA)
    works = [work(program, client=client, ratio=0.2 * client, round=2) for client in range(3)]
    begun = list(loop.train(works[:2]))  # the third client has not trained before
    works = [
        replace(one, moments=result.moments) for one, result in zip(works, begun, strict=False)
    ] + works[2:]
    with closing(EXECUTORS[name]()) as executor:
        for ours, theirs in zip(executor.train(works), loop.train(works), strict=True):
            assert np.array_equal(ours.mask, theirs.mask)
            assert ours.moments.steps == theirs.moments.steps
            for one, other in (
                (ours.vector, theirs.vector),
                (ours.moments.first, theirs.moments.first),
                (ours.moments.second, theirs.moments.second),
            ):
                assert np.linalg.norm(one - other) <= 1e-5 * np.linalg.norm(other)


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (Schedule(), [1, 1, 1, 1, 1]),
        (Schedule(warm_up_rounds=4), [0.25, 0.5, 0.75, 1, 1]),
        (Schedule(schedule="step", step_every=2, step_factor=0.5), [1, 1, 0.5, 0.5, 0.25]),
        (
            Schedule(schedule="cosine", cosine_rounds=4, cosine_least=0.2),
            [1, 0.2 + 0.4 * (1 + 0.5**0.5), 0.6, 0.2 + 0.4 * (1 - 0.5**0.5), 0.2],
        ),
        (
            Schedule(schedule="step", step_every=1, step_factor=0.1, warm_up_rounds=2),
            [0.5, 1, 1, 0.1, 0.01],
        ),
    ],
)
def test_a_schedule_is_a_factor_by_round(schedule, factors):
    assert [schedule.factor(index) for index in range(5)] == pytest.approx(factors)


def test_a_round_trains_at_its_rate():
    schedule = Schedule(schedule="step", step_every=2, step_factor=0.5)
    scheduled = work((phase(2, schedule=schedule),), round=3)
    plain = work((replace(phase(2), learning_rate=RATE / 2),), round=3)
    runner = engine(SPEC, DATA)
    assert np.array_equal(runner.train(scheduled).vector, runner.train(plain).vector)


def rounds(algorithm, count, packed=None):
    """The packed state after more rounds."""
    trainer = algorithm.trainer(clients=3, seed=0, runtime=Runtime(executor="loop"))
    state = trainer.init(0) if packed is None else trainer.unpack(packed)
    for _ in range(count):
        ratios = np.array([0.0, 0.3, 1.0]) * (algorithm.demand(3).prunable_upload_bits > 0)
        state, _ = trainer.step(state, ratios, Delivery.all(3))
    trainer.close()
    return trainer.pack(state)


@pytest.mark.parametrize("cls", [FedAlt, FedAvg])
def test_a_checkpoint_holds_what_is_kept(cls):
    schedule = Schedule(schedule="cosine", cosine_rounds=6, warm_up_rounds=1)
    algorithm = cls(task=Task(batch_size=16), optimizer=KEPT, schedule=schedule)
    whole = rounds(algorithm, 3)
    resumed = rounds(algorithm, 2, {k: v.copy() for k, v in rounds(algorithm, 1).items()})
    assert whole.keys() == resumed.keys()
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    assert whole["optimizer_moments"].shape == (3, 2, LAYOUT.parameter_size)
    reset = rounds(replace(algorithm, optimizer=ADAM), 3)
    assert reset.keys() == whole.keys() - {"optimizer_moments", "optimizer_steps"}
    assert not np.array_equal(reset["shared"], whole["shared"])


@pytest.mark.slow
def test_a_run_is_resumed_to_the_byte(capsys, monkeypatch, tmp_path):
    settings = []
    for text in (
        "optimizer=adamw",
        "optimizer_state=keep",
        "schedule=cosine",
        "batch_size=16",
        "warm_up_rounds=2",
        "weight_decay=0.01",
        "learning_rate=0.002",
    ):
        settings += ["--set", f"training.{text}"]

    def run(rounds, folder, *more):
        done = call(
            capsys,
            monkeypatch,
            "run",
            "--rounds",
            rounds,
            "--out",
            tmp_path / folder,
            "--json",
            "--set",
            "run.checkpoint_every=1",
            *settings,
            *more,
        )
        assert done.status == 0
        return (tmp_path / folder / "rounds.jsonl").read_bytes()

    whole = run(3, "whole")
    assert len(run(1, "two")) < len(whole)
    assert run(3, "two", "--resume") == whole


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"optimizer": "rmsprop"}, r"training\.optimizer must be one of sgd, adam, adamw"),
        ({"adam_beta1": 1.0}, r"training\.adam_beta1 must be at most"),
        ({"optimizer": "adam", "momentum": 0.9}, r"training\.momentum must be 0 with .* 'adam'"),
        ({"step_every": 0}, r"training\.step_every must be a whole number of at least 1, got 0"),
        ({"schedule": "linear"}, r"training\.schedule must be one of constant, step, cosine"),
        ({"algorithm": "ca-hfp", "optimizer_state": "keep"}, r"training\.optimizer_state must be"),
        ({"algorithm": "dsgd", "optimizer_state": "keep"}, r"training\.optimizer_state must be"),
        ({"algorithm": "ca-hfp", "optimizer": "adam"}, r"training\.optimizer must be 'sgd' with"),
        ({"algorithm": "scaffold", "optimizer": "adam"}, r"training\.optimizer is not a field"),
    ],
)
def test_bad_settings_are_one_line(settings, words):
    with pytest.raises(InputError, match=words) as error:
        from_tables({"training": settings})
    assert "\n" not in str(error.value)


def test_estimates_of_filters_know_the_rate_of_the_round():
    schedule = Schedule(schedule="step", step_every=2, step_factor=0.5)
    method = CaHfp(learning_rate=0.1, momentum=0.5, schedule=schedule).method
    assert [method.effective_rate(index) for index in (0, 2)] == pytest.approx([0.2, 0.1])
