"""The engine: programs against SGD written out, purity, evaluation."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.federation import (
    ALGORITHM_1,
    PRUNE,
    SPEC,
    engine,
    made_up_data,
    start_vector,
    train,
    work,
)

from training.engine.program import Accumulate, EvaluationWork, Prune, Train
from wirelessfl.errors import InputError

START, LAYOUT = start_vector()
FULL_BATCH = replace(SPEC, batch_size=1000)


def by_hand(vector, images, labels, steps, rate, part=slice(None)):
    """Plain SGD on the whole of a client's data, with torch's own optimiser and a new model."""
    model, layout = SPEC.build_model()
    for entry in layout.entries:
        model.get_parameter(entry.name).data = torch.from_numpy(vector[entry.slice].copy()).view(
            entry.shape
        )
    chosen = [
        entry
        for entry in layout.entries
        if part == slice(None) or part.start <= entry.offset < part.stop
    ]
    sgd = torch.optim.SGD([model.get_parameter(entry.name) for entry in chosen], lr=rate)
    losses = []
    for _ in range(steps):
        sgd.zero_grad()
        loss = F.cross_entropy(model((images.float() - 127.0) / 74.0), labels)
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return layout.flatten(model).numpy(), float(np.mean(losses))


@pytest.mark.parametrize("part", ["personal", "shared", "all"])
@pytest.mark.parametrize("steps", [1, 3])
def test_training_is_sgd_written_by_hand(part, steps):
    data = made_up_data()
    result = engine(FULL_BATCH).train(work((train(part, steps),), client=1))
    rows = data.train_index[1]
    chosen = {"personal": LAYOUT.personal, "shared": LAYOUT.shared, "all": slice(None)}[part]
    vector, loss = by_hand(
        START, data.train_images[rows], data.train_labels[rows], steps, 0.05, chosen
    )
    np.testing.assert_allclose(result.vector, vector, atol=1e-6)
    assert result.loss == pytest.approx(loss, rel=1e-5)
    if part != "all":
        other = LAYOUT.shared if part == "personal" else LAYOUT.personal
        assert np.array_equal(result.vector[other], START[other])


def test_two_learning_rates_share_one_gradient():
    both = Train(part="all", steps=1, learning_rate=0.05, personal_learning_rate=0.02, stream="s")
    vector = engine().train(work((both,))).vector
    for part, rate in ((LAYOUT.personal, 0.02), (LAYOUT.shared, 0.05)):
        alone = (
            engine()
            .train(work((Train(part="all", steps=1, learning_rate=rate, stream="s"),)))
            .vector
        )
        assert np.array_equal(vector[part], alone[part])


def test_personal_rate_zero_is_training_of_the_shared_part():
    both = Train(
        part="all", steps=4, learning_rate=0.05, personal_learning_rate=0.0, stream="batches/shared"
    )
    simultaneous = engine().train(work((both,)))
    alone = engine().train(work((train("shared", 4),)))
    assert np.array_equal(simultaneous.vector, alone.vector)
    assert simultaneous.loss == alone.loss


@pytest.mark.parametrize("ratio", [0.001, 0.5, 0.9])
@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_masked_steps_never_touch_pruned_weights(ratio, steps):
    result = engine().train(work((PRUNE, train("shared", steps)), ratio=ratio))
    pruned = result.vector[LAYOUT.shared][~result.mask]
    assert pruned.size == int(np.ceil(ratio * LAYOUT.shared_size))
    assert not np.any(pruned)
    assert not np.any(np.signbit(pruned))  # -0.0 would change hashes and comparisons
    if steps:
        kept = result.vector[LAYOUT.shared][result.mask] != START[LAYOUT.shared][result.mask]
        assert kept.mean() > 0.5


@pytest.mark.parametrize(
    ("part", "fixed"), [("shared", LAYOUT.personal), ("personal", LAYOUT.shared)]
)
def test_no_gradient_is_computed_for_the_fixed_part(part, fixed):
    ours = engine()
    ours.train(work((train(part),)))
    assert ours._network.gradient.any()
    assert not ours._network.gradient[fixed].any()


def test_importance_leaves_no_trace():
    result = engine().train(work((PRUNE,), ratio=0.6))
    assert np.array_equal(
        result.vector[LAYOUT.shared], np.where(result.mask, START[LAYOUT.shared], 0)
    )
    assert np.array_equal(result.vector[LAYOUT.personal], START[LAYOUT.personal])
    assert result.loss is None


def test_pruned_set_is_that_of_the_smallest_importances():
    trial = engine().train(work((train("shared", PRUNE.steps, PRUNE.learning_rate, PRUNE.stream),)))
    importance = np.abs(trial.vector - START)[LAYOUT.shared]
    mask = engine().train(work((PRUNE,), ratio=0.4)).mask
    pruned = int(np.ceil(0.4 * LAYOUT.shared_size))
    ranked = np.lexsort((np.arange(importance.size), importance))
    assert np.array_equal(np.flatnonzero(~mask), np.sort(ranked[:pruned]))


def test_growing_ratios_give_nested_masks():
    masks = [engine().train(work((PRUNE,), ratio=ratio)).mask for ratio in (0.1, 0.3, 0.31, 0.8)]
    assert all(not np.any(sparse & ~dense) for dense, sparse in pairwise(masks))


def test_importance_is_measured_with_the_trained_personal_part():
    personal = train("personal", 5, 0.5, stream="batches/personal")
    with_new = engine().train(work((personal, PRUNE), ratio=0.5)).mask
    with_old = engine().train(work((PRUNE, personal), ratio=0.5)).mask
    assert not np.array_equal(with_new, with_old)


def test_ratio_zero_is_training_without_pruning_bit_for_bit():
    pruning = engine().train(work(ALGORITHM_1, ratio=0.0))
    dense = engine().train(work((ALGORITHM_1[0], ALGORITHM_1[2])))
    assert np.array_equal(pruning.vector, dense.vector)
    assert pruning.loss == dense.loss
    assert pruning.mask.all()


def test_results_depend_on_the_work_alone():
    first, second = (
        work(ALGORITHM_1, client=0, ratio=0.5),
        work(ALGORITHM_1, client=2, ratio=0.2, round=4),
    )
    worn, fresh = engine(), engine()
    worn.train(first)
    worn.evaluate(EvaluationWork(client=1, vector=START))
    assert np.array_equal(worn.train(second).vector, fresh.train(second).vector)


def test_rounds_clients_and_streams_draw_other_batches():
    program = (train("shared", 1),)
    vectors = [
        engine().train(item).vector
        for item in (
            work(program),
            work(program, round=1),
            work(program, client=1),
            work((train("shared", 1, stream="other"),)),
        )
    ]
    assert all(not np.array_equal(vectors[0], other) for other in vectors[1:])


def test_an_epoch_visits_no_sample_twice():
    data = made_up_data(clients=1, samples=32)
    vector = np.zeros(
        LAYOUT.size, dtype=np.float32
    )  # logits are 0: fc2's bias gradient counts labels

    def steps(count):
        phase = (train("shared", count, rate=1e-3),)
        return engine(SPEC, data).train(replace(work(phase), vector=vector)).vector[-10:]

    labels = np.bincount(data.train_labels.numpy(), minlength=10)
    expected = -1e-3 * (2 * 0.1 - labels / 16)  # two disjoint batches of 16 are all 32 samples
    np.testing.assert_allclose(steps(2), expected, atol=1e-6)
    assert np.abs(steps(3) - steps(2)).max() > 1e-5  # and a third comes from a new shuffle


def test_accuracy_counts_hits_over_all_batches():
    data = made_up_data(clients=2, tests=600)
    model, layout = SPEC.build_model()
    layout.bind(model, torch.from_numpy(START.copy()), torch.zeros(layout.size))
    rows = data.test_index[1]
    hits = (
        model((data.test_images[rows].float() - 127.0) / 74.0).argmax(1) == data.test_labels[rows]
    )
    accuracy = engine(SPEC, data).evaluate(EvaluationWork(client=1, vector=START))
    assert accuracy == pytest.approx(hits.float().mean().item(), abs=2 / 600)


@pytest.mark.parametrize("rate", [1e30, 3e38])
def test_divergence_names_client_round_step_and_tensor(rate):
    with pytest.raises(
        InputError,
        match=r"^training diverged: client 2, round 8, loss .*, (conv|fc)\d\.(weight|bias) is "
        r"not finite "
        r"at step [123] of batches/shared; reduce training\.learning_rate$",
    ):
        engine().train(work((train("all", 3, rate),), client=2, round=7))


def test_the_step_and_tensor_are_those_where_it_began():
    vector = START.copy()
    vector[LAYOUT.entries[-1].offset] = (
        3e38  # a bias of fc2: its logit and with it the first loss are huge
    )
    calm, wild = (
        train("personal", 2),
        Train(part="shared", steps=2, learning_rate=3e38, stream="wild"),
    )
    with pytest.raises(InputError, match=r"fc1\.weight is not finite at step 1 of wild"):
        engine().train(work((calm, replace(wild, weight_decay=1e3))))
    vector[LAYOUT.entries[-2].offset] = np.nan
    with pytest.raises(InputError, match=r"fc2\.weight is not finite at step 0 of the start"):
        engine().train(replace(work((calm,)), vector=vector))


def test_divergence_of_a_trial_and_of_sums_is_named_too():
    with pytest.raises(InputError, match=r"is not finite at step \d of trial"):
        engine().train(work((Prune(steps=3, learning_rate=1e38, stream="trial"),), ratio=0.5))
    vector = START.copy()
    vector[LAYOUT.shared] = 1e30
    with pytest.raises(
        InputError, match=r"the gradient of conv\d\.weight is not finite at step 1 of sums"
    ):
        engine().train(replace(work((Accumulate(steps=1, stream="sums"),)), vector=vector))


def test_a_squared_gradient_beyond_float32_is_named_though_the_gradient_is_none():
    it = replace(work((Accumulate(steps=1, stream="sums"),)), vector=START * np.float32(1e7))
    with pytest.raises(
        InputError, match=r"the squared gradient of conv\d\.weight is not finite at step 1 of sums"
    ):
        engine().train(it)


def test_weights_whose_sum_alone_is_too_great_are_no_divergence():
    vector = np.full_like(START, 1e36)
    assert np.array_equal(engine().train(replace(work(()), vector=vector)).vector, vector)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(
        InputError, match=r"a mask must have shape \(3760,\) or \(5008,\), got \(7,\)"
    ):
        engine().train(replace(work((train("all"),)), mask=np.ones(7, dtype=bool)))


def test_the_callers_threads_are_left_alone():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        engine().train(work(ALGORITHM_1, ratio=0.5))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
