"""Compiled steps of chains of linear layers: the loop's steps within rounding."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.federation import made_up_data

from training.engine import chain
from training.engine.optimizer import Optimizer
from training.engine.program import LocalWork, Train
from training.engine.spec import EngineSpec
from training.executors import LEAST_COMPILED_FLOPS, LEAST_WORKERS_FLOPS, make_executor
from training.executors.loop import LoopExecutor
from training.executors.workers import WorkersExecutor
from training.structure.form import Form
from wirelessfl.errors import DivergenceError, InputError
from wirelessfl.protocols import Runtime
from wirelessfl.rng import Streams

pytest.importorskip("numba")

SPEC = EngineSpec(model="mlp", personalised=False, batch_size=8, device="cpu", form=Form(width=0.1))
PLAIN = Train(part="all", learning_rate=0.05, epochs=2, stream="s")


def data():
    small = made_up_data(samples=60)
    images = F.pad(small.train_images, (10, 10, 10, 10))
    return replace(small, train_images=images, test_images=images[:5])


DATA = data()


def works(phase, spec=SPEC, **fields):
    torch.manual_seed(3)
    model, layout = spec.build_model()
    vector = layout.flatten(model).numpy()
    common = {"program": (phase,), "pruning_ratio": 0.0, "streams": Streams(0), "vector": vector}
    return [LocalWork(client=k, **{**common, **fields}) for k in range(2)]


def both(phase, spec=SPEC, **fields):
    made = works(phase, spec, **fields)
    compiled = spec_compiled(spec).build(DATA)
    return list(zip(map(spec.build(DATA).train, made), map(compiled.train, made), strict=True))


def spec_compiled(spec=SPEC):
    return replace(spec, compiled=True)


def count_calls(monkeypatch):
    """The phases that ran compiled."""
    seen = []
    descend = chain.Chain.descend
    monkeypatch.setattr(
        chain.Chain,
        "descend",
        lambda self, phase, *a, **k: seen.append(phase) or descend(self, phase, *a, **k),
    )
    return seen


SIZE = SPEC.layout().size
RNG = np.random.default_rng(0)
MASK = RNG.random(SIZE) < 0.6
CORRECTION = RNG.normal(0, 0.01, SIZE).astype(np.float32)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, {}),
        ({"momentum": 0.9, "weight_decay": 0.01}, {"mask": MASK}),
        ({"clip_norm": 0.1, "proximal": 0.3}, {"correction": CORRECTION}),
        ({"momentum": 0.9, "epochs": None, "steps": 5}, {"mask": MASK, "correction": CORRECTION}),
    ],
)
def test_steps_are_those_of_the_loop(changes, fields, monkeypatch):
    seen = count_calls(monkeypatch)
    for loop, compiled in both(replace(PLAIN, **changes), **fields):
        gap = np.linalg.norm(loop.vector - compiled.vector)
        assert gap <= 1e-5 * np.linalg.norm(loop.vector)
        assert compiled.loss == pytest.approx(loop.loss, rel=1e-5)
        assert compiled.steps == loop.steps
        if "mask" in fields:
            pruned = compiled.vector[~MASK]
            assert not pruned.any()
            assert not np.signbit(pruned).any()
    assert len(seen) == 2


@pytest.mark.parametrize("part", ["personal", "shared", "all"])
def test_parts_have_their_own_rates(part):
    spec = replace(SPEC, personalised=True, personal="features")
    rate = 0.01 if part == "all" else None
    phase = replace(PLAIN, part=part, personal_learning_rate=rate, momentum=0.5)
    for loop, compiled in both(phase, spec):
        np.testing.assert_allclose(compiled.vector, loop.vector, rtol=1e-4, atol=1e-6)


def test_a_kept_momentum_goes_on():
    phase = replace(PLAIN, momentum=0.9, optimizer=Optimizer(optimizer_state="keep"))
    for loop, compiled in both(phase):
        np.testing.assert_allclose(compiled.moments.first, loop.moments.first, rtol=1e-4, atol=1e-6)


def test_the_steps_are_as_close_to_float64_as_those_of_the_loop():
    (loop, compiled), _ = both(PLAIN)
    work = works(PLAIN)[0]
    model, layout = SPEC.build_model()
    layout.fill(model, torch.from_numpy(work.vector))
    model = model.double()
    seed = work.streams.seed_for("s", 0)
    for inputs, labels in SPEC.build(DATA).batches.epochs(0, seed, 2):
        model.zero_grad()
        F.cross_entropy(model(inputs.double()), labels).backward()
        with torch.no_grad():
            for weight in model.parameters():
                weight -= 0.05 * weight.grad
    exact = torch.cat([weight.detach().flatten() for weight in model.parameters()]).numpy()
    ours, theirs = (np.linalg.norm(one.vector - exact) for one in (compiled, loop))
    assert ours <= 2 * theirs


@pytest.mark.parametrize(
    "changes",
    [
        {"feature_penalty": 0.1},
        {"sum_gradients": True},
        {"optimizer": Optimizer(optimizer="adam")},
        {"prox": lambda weights, rate: weights * (1 - rate)},
    ],
)
def test_other_phases_run_as_in_the_loop(changes, monkeypatch):
    seen = count_calls(monkeypatch)
    for loop, compiled in both(replace(PLAIN, **changes)):
        assert np.array_equal(loop.vector, compiled.vector)
    assert not seen


def test_divergence_is_told_as_in_the_loop():
    phase = replace(PLAIN, learning_rate=1e30)
    told = []
    for spec in (SPEC, spec_compiled()):
        with pytest.raises(DivergenceError) as error:
            spec.build(DATA).train(works(phase)[0])
        told.append(str(error.value))
    assert told[0] == told[1]


@pytest.mark.slow
def test_a_worker_gives_the_same_bits():
    made = works(replace(PLAIN, momentum=0.9))
    here = list(LoopExecutor(spec_compiled(), DATA).train(made))
    with closing(WorkersExecutor(spec_compiled(), DATA, 1)) as executor:
        for one, other in zip(here, executor.train(made), strict=True):
            assert np.array_equal(one.vector, other.vector)


@pytest.mark.parametrize(
    ("flops", "runtime", "kind"),
    [
        (LEAST_COMPILED_FLOPS, Runtime(workers=2), "compiled loop"),
        (LEAST_COMPILED_FLOPS - 1, Runtime(workers=2), "loop"),
        (LEAST_WORKERS_FLOPS, Runtime(workers=2), "compiled workers"),
        (1, Runtime(executor="compiled", workers=2), "compiled workers"),
        (1, Runtime(executor="compiled"), "compiled loop"),
        (LEAST_WORKERS_FLOPS, Runtime(executor="loop"), "loop"),
    ],
)
def test_auto_compiles_chains_in_long_rounds(flops, runtime, kind, monkeypatch):
    for name in ("Loop", "Workers"):
        monkeypatch.setattr(
            f"training.executors.{name}Executor",
            lambda spec, *rest, name=name: "compiled " * spec.compiled + name.lower(),
        )
    assert make_executor(SPEC, DATA, runtime, round_flops=flops, step_flops=1.0) == kind


@pytest.mark.parametrize("model", ["digits-cnn", "cnn"])
def test_other_models_cannot_be_compiled(model):
    with pytest.raises(InputError, match=r"^run\.executor compiled needs numba and a model that"):
        make_executor(replace(SPEC, model=model), DATA, Runtime(executor="compiled"), round_flops=1)


@pytest.mark.parametrize(
    ("model", "step_flops", "kind"),
    [("digits-cnn", 1e7, "stacked"), ("digits-cnn", 1.1e7, "loop"), ("mlp", 1.0, "loop")],
)
def test_auto_stacks_small_steps_of_convolutions(model, step_flops, kind, monkeypatch):
    for name in ("Loop", "Stacked"):
        monkeypatch.setattr(
            f"training.executors.{name}Executor", lambda *rest, name=name: name.lower()
        )
    spec = replace(SPEC, model=model)
    assert make_executor(spec, DATA, Runtime(), round_flops=1.0, step_flops=step_flops) == kind
