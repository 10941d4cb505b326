"""Contract of every executor with every model: whole, masked and compact."""

from contextlib import closing
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from helpers.sub_models import compact
from torch import nn

from training.data.federated import FederatedData
from training.engine.program import EvaluationWork, LocalWork, Train
from training.engine.spec import EngineSpec
from training.executors.graph import GraphExecutor
from training.executors.loop import LoopExecutor
from training.executors.stacked import StackedExecutor
from training.executors.workers import WorkersExecutor
from training.structure.form import Form
from training.structure.structure import Structure
from training.structure.submodel import SubModel
from wirelessfl import plugins
from wirelessfl.rng import Streams

CLIENTS = 3
BATCH = 3
EXECUTORS = {
    "workers": lambda spec, data: WorkersExecutor(spec, data, 1),
    "compiled": lambda spec, data: LoopExecutor(replace(spec, compiled=True), data),
    "stacked": StackedExecutor,
    "graph": GraphExecutor,  # on a CPU its steps run without a graph, from the same fixed memory
}
TRAIN = Train(
    part="shared",
    steps=2,
    learning_rate=0.05,
    momentum=0.9,
    weight_decay=0.01,
    clip_norm=1.0,
    stream="batches/local",
)
NAMES = plugins.names("models")
SLOW = pytest.mark.slow
SHRINKING = {name for name in NAMES if getattr(plugins.load("models", name), "groups", ())}


@cache
def spec_of(name: str) -> EngineSpec:
    """The model, a narrow one of those that can be."""
    width = 0.2 if name in SHRINKING else 1.0
    return EngineSpec(
        model=name, personalised=False, batch_size=BATCH, device="cpu", form=Form(width=width)
    )


@cache
def data_of(name: str) -> FederatedData:
    """Synthetic data of the model's kind; the last client has fewer samples than a batch."""
    model, _ = spec_of(name).build_model()
    generator = torch.Generator().manual_seed(11)
    shape = (7 * CLIENTS, *model.input_shape)
    index = torch.arange(7 * CLIENTS).split(7)
    if model.classes > 1:
        images = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
        labels = torch.randint(0, model.classes, shape[:1], generator=generator)
    else:
        images, labels = (torch.randn(size, generator=generator) for size in (shape, shape[:1]))
    return FederatedData(
        train_images=images,
        train_labels=labels,
        test_images=images,
        test_labels=labels,
        mean=127.0,
        std=74.0,
        classes=model.classes,
        train_index=(*index[:-1], index[-1][:2]),
        test_index=index,
    )


@cache
def works_of(name: str, kind: str) -> list[LocalWork]:
    """A work for each client, from the same start; masks and channels of their own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model, layout = spec_of(name).build_model()
    rng = np.random.default_rng(3)
    structure = Structure.of(model, layout)
    start = layout.flatten(model).numpy() + rng.normal(0, 0.01, layout.size).astype(np.float32) ** 2

    def extras() -> dict[str, object]:
        if kind == "masked":
            return {"mask": rng.random(layout.parameter_size) < 0.5}
        if kind == "compact":
            widths = structure.uniform(0.5)
            return {
                "sub": SubModel(
                    kept={
                        group: tuple(
                            sorted(rng.choice(full, widths[group], replace=False).tolist())
                        )
                        for group, full in structure.widths.items()
                    }
                )
            }
        return {}

    return [
        compact(
            structure,
            LocalWork(
                client=k,
                vector=start,
                program=(TRAIN,),
                pruning_ratio=0.0,
                streams=Streams(3, 0),
                **extras(),
            ),
        )
        for k in range(CLIENTS)
    ]


def is_slow(name: str, made: str) -> bool:
    """True for large models but resnet20, and for worker processes but those of one model."""
    if made == "workers":
        return name != "digits-cnn"
    return name.startswith(("resnet", "vgg", "alexnet")) and name != "resnet20"


@cache
def by_the_loop(name: str, kind: str):
    return list(LoopExecutor(spec_of(name), data_of(name)).train(works_of(name, kind)))


def tolerance(name: str) -> float:
    model, _ = spec_of(name).build_model()
    normed = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    return 1e-4 if normed else 1e-5


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((name, made), id=f"{name}-{made}", marks=[SLOW] if is_slow(name, made) else [])
        for name in NAMES
        for made in EXECUTORS
        if made != "compiled" or hasattr(plugins.load("models", name), "chain")
    ],
)
def at_work(request):
    """A model's name, an executor's name, the executor."""
    name, made = request.param
    with closing(EXECUTORS[made](spec_of(name), data_of(name))) as executor:
        yield name, made, executor


def test_every_executor_gives_what_the_loop_gives(at_work):
    name, made, executor = at_work
    for kind in ("dense", "masked", "compact") if name in SHRINKING else ("dense", "masked"):
        results = executor.train(iter(works_of(name, kind)))
        check(
            kind,
            works_of(name, kind),
            results,
            by_the_loop(name, kind),
            bound=tolerance(name),
            made=made,
        )


def check(kind, works, results, expected, *, bound, made):
    for work, ours, theirs in zip(works, results, expected, strict=True):
        assert np.array_equal(ours.mask, theirs.mask)
        assert ours.steps == theirs.steps == TRAIN.steps
        if made == "workers":
            assert np.array_equal(ours.vector, theirs.vector)
            assert ours.loss == theirs.loss
        moved = np.linalg.norm(theirs.vector - work.vector)
        assert moved > 0
        assert np.linalg.norm(ours.vector - theirs.vector) <= bound * np.linalg.norm(theirs.vector)
        assert ours.loss == pytest.approx(theirs.loss, rel=bound)
        if kind == "masked":
            pruned = ours.vector[: len(work.mask)][~work.mask]
            assert not pruned.any()
            assert not np.signbit(pruned).any()
        if kind == "compact":
            assert np.array_equal(
                ours.vector[: ours.mask.size][~ours.mask], work.vector[: ours.mask.size][~ours.mask]
            )


def test_every_executor_evaluates_as_the_loop(at_work):
    name, _, executor = at_work
    loop = LoopExecutor(spec_of(name), data_of(name))
    works = [
        EvaluationWork(client=work.client, vector=work.vector) for work in works_of(name, "dense")
    ]
    assert list(executor.evaluate(iter(works))) == list(loop.evaluate(works))
