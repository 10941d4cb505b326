"""Networks in flat vectors: running statistics, losses, batch norm."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.federation import made_up_data, work
from helpers.small_models import (
    ClosedFormLogistic,
    NormCnn,
    Regression,
    SmallLogistic,
    engine_of,
    seeded,
)

from training.data.federated import FederatedData
from training.engine.network import Network
from training.engine.program import Accumulate, EvaluationWork, Prune, Train
from training.structure.layout import Layout
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams

DATA = made_up_data(samples=40)
TRAIN = Train(part="all", epochs=2, learning_rate=0.1, stream="s")


def on(vector, *program, **fields):
    return replace(work(program), vector=vector, **fields)


def epochs(rows, count, batch_size=16):
    generator = torch.Generator().manual_seed(Streams(3, 0).seed_for("s", 0))
    for _ in range(count):
        yield from rows[torch.randperm(len(rows), generator=generator)].split(batch_size)


def normalised(images):
    return (images.float() - 127.0) / 74.0


def test_running_statistics_are_those_of_plain_torch():
    model, layout, start = seeded(NormCnn)
    result = engine_of(NormCnn, DATA).train(on(start, TRAIN))
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    for rows in epochs(DATA.train_index[0], 2):
        sgd.zero_grad()
        F.cross_entropy(
            model(normalised(DATA.train_images[rows])), DATA.train_labels[rows]
        ).backward()
        sgd.step()
    expected = layout.flatten(model).numpy()
    np.testing.assert_allclose(result.vector, expected, atol=1e-6)
    assert np.abs(expected - start)[layout.buffers].min() > 1e-3
    model.eval()
    images, labels = (tensor[DATA.test_index[0]] for tensor in (DATA.test_images, DATA.test_labels))
    hits = (model(normalised(images)).argmax(1) == labels).float().mean().item()
    accuracy = engine_of(NormCnn, DATA).evaluate(EvaluationWork(client=0, vector=expected))
    assert accuracy == pytest.approx(hits)


def test_evaluation_leaves_training_by_batch_statistics():
    _, _, start = seeded(NormCnn)
    worn = engine_of(NormCnn, DATA)
    worn.evaluate(EvaluationWork(client=0, vector=start))
    again = worn.train(on(start, TRAIN)).vector
    assert np.array_equal(again, engine_of(NormCnn, DATA).train(on(start, TRAIN)).vector)


def test_trials_and_sums_leave_no_trace_in_running_statistics():
    _, layout, start = seeded(NormCnn)
    for phase in (Prune(steps=2, learning_rate=0.1, stream="s"), Accumulate(epochs=1, stream="s")):
        result = engine_of(NormCnn, DATA).train(replace(on(start, phase), pruning_ratio=0.5))
        assert np.array_equal(result.vector[layout.buffers], start[layout.buffers])
        assert result.mask[layout.shared_size :].all()  # buffers are never pruned


def test_batch_norm_leaves_out_a_last_batch_of_one_and_refuses_a_client_with_one():
    _, _, start = seeded(NormCnn)
    result = engine_of(NormCnn, made_up_data(samples=33)).train(on(start, TRAIN))
    assert result.steps == 4  # of 33 samples two batches of 16 an epoch
    with pytest.raises(
        InputError, match=r"at least 2 for a model with batch norm, got 16 and client 0 with 1"
    ):
        engine_of(NormCnn, made_up_data(samples=1))


def test_gradients_in_closed_form_are_those_of_autograd():
    _, _, start = seeded(SmallLogistic)
    train = replace(TRAIN, momentum=0.9, weight_decay=0.01)
    mask = np.random.default_rng(0).random(start.size) < 0.5
    for fields in ({}, {"mask": mask}):
        one, other = (
            engine_of(kind, DATA).train(on(start, train, **fields))
            for kind in (SmallLogistic, ClosedFormLogistic)
        )
        np.testing.assert_allclose(one.vector, other.vector, atol=1e-6)
        assert one.loss == pytest.approx(other.loss, rel=1e-6)
    sums = [
        engine_of(kind, DATA).train(on(start, Accumulate(epochs=1, stream="s")))
        for kind in (SmallLogistic, ClosedFormLogistic)
    ]
    np.testing.assert_allclose(sums[0].sums["gradient"], sums[1].sums["gradient"], atol=1e-6)


def regression_data():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 5, generator=generator)
    targets = features @ torch.tensor([1.0, -2.0, 0.5, 0.0, 3.0]) + 4.0
    return FederatedData(
        train_images=features,
        train_labels=targets,
        test_images=features[:20],
        test_labels=targets[:20],
        mean=99.0,
        std=0.0,
        classes=1,
        train_index=(torch.arange(60),),
        test_index=(torch.arange(20),),
    )


def test_squared_error_on_features_as_they_are():
    data, (_, _, start) = regression_data(), seeded(Regression)
    engine = engine_of(Regression, data)
    result = engine.train(on(start, Train(part="all", epochs=100, learning_rate=0.1, stream="s")))
    np.testing.assert_allclose(result.vector, [1.0, -2.0, 0.5, 0.0, 3.0, 4.0], atol=1e-4)
    assert engine.evaluate(EvaluationWork(client=0, vector=result.vector)) == pytest.approx(
        1.0, abs=1e-6
    )
    first = engine.train(on(start, Train(part="all", steps=1, learning_rate=0.1, stream="s")))
    rows = next(epochs(data.train_index[0], 1))
    error = (
        data.train_images[rows] @ torch.from_numpy(start[:5]) + start[5] - data.train_labels[rows]
    )
    assert first.loss == pytest.approx(error.square().mean().item(), rel=1e-5)


def test_determination_by_hand():
    data, engine = regression_data(), engine_of(Regression, regression_data())
    mean = np.zeros(6, dtype=np.float32)
    mean[5] = data.test_labels.mean()
    assert engine.evaluate(EvaluationWork(client=0, vector=mean)) == pytest.approx(0.0, abs=1e-5)
    flat = replace(data, test_labels=torch.full((20,), 2.0))
    assert engine_of(Regression, flat).evaluate(EvaluationWork(client=0, vector=mean)) == 0.0


def test_a_loss_that_is_not_known():
    class Strange(SmallLogistic):
        loss = "hinge"

    with pytest.raises(
        InputError,
        match=r"loss of training\.model must be one of cross-entropy, squared-error; got 'hinge'",
    ):
        Network(model := Strange(), Layout.of(model), torch.device("cpu"))
