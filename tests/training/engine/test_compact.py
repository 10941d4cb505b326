"""Compact networks train as the masked whole network does."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.federation import made_up_data, work
from helpers.small_models import NormCnn, SmallLogistic, engine_of, seeded
from helpers.sub_models import train_in_place

from training.engine.program import Accumulate, Prune, Train
from training.engine.spec import EngineSpec
from training.structure.form import Form
from training.structure.layout import Layout
from training.structure.structure import Structure
from training.structure.submodel import SubModel
from wirelessfl.errors import InputError

DATA = made_up_data(samples=40)
MODEL, LAYOUT, START = seeded(NormCnn)
STRUCTURE = Structure.of(MODEL, LAYOUT)
TRAIN = Train(
    part="all",
    epochs=2,
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=0.01,
    clip_norm=1.0,
    stream="s",
)


def hidden(*kept):
    return SubModel(kept={"hidden": kept})


def places(kept):
    """Places of these channels of `NormCnn`, written out.

    They are rows of conv and norm, and groups of four columns of the head.
    """
    found = np.zeros(LAYOUT.size, dtype=bool)
    for entry in LAYOUT.entries:
        tensor = found[entry.slice].reshape(entry.shape)
        if entry.name == "head.weight":
            tensor.reshape(10, 6, 4)[:, list(kept)] = True
        else:
            tensor[slice(None) if entry.name == "head.bias" else list(kept)] = True
    return found


def engine():
    return engine_of(NormCnn, DATA)


def train(it, task):
    return train_in_place(it, STRUCTURE, task)


def on(*program, **fields):
    return replace(work(program), vector=START, **fields)


SUB, HELD = hidden(1, 3, 4), places((1, 3, 4))


@pytest.mark.parametrize("correction", [None, np.full(LAYOUT.size, 0.1, dtype=np.float32)])
def test_a_compact_network_trains_as_the_masked_whole_one(correction):
    compact = train(engine(), on(TRAIN, sub=SUB, correction=correction))
    masked = train(engine(), on(TRAIN, mask=HELD[: LAYOUT.parameter_size], correction=correction))
    np.testing.assert_allclose(compact.vector[HELD], masked.vector[HELD], atol=1e-6)
    assert compact.loss == pytest.approx(masked.loss, rel=1e-6)
    assert np.array_equal(compact.vector[~HELD], START[~HELD])
    assert np.array_equal(compact.mask, HELD[LAYOUT.upload])


def test_sums_lie_at_their_places():
    sums = train(engine(), on(Accumulate(epochs=1, stream="s"), sub=SUB)).sums["gradient"]
    held = HELD[: LAYOUT.parameter_size]
    masked = train(engine(), on(Accumulate(epochs=1, stream="s"), mask=held)).sums["gradient"]
    assert sums.shape == (LAYOUT.parameter_size,)
    np.testing.assert_allclose(sums[held], masked[held], atol=1e-6)
    assert not sums[~held].any()


def test_what_is_pruned_of_a_sub_model_is_not_held():
    prune = Prune(steps=1, learning_rate=0.1, stream="i")
    result = train(engine(), replace(on(prune, TRAIN, sub=SUB), pruning_ratio=0.5))
    weights = result.mask[: LAYOUT.shared_size]
    held = HELD[LAYOUT.shared]
    assert weights.sum() == held.sum() // 2
    assert not weights[~held].any()
    assert not result.vector[LAYOUT.shared][held & ~weights].any()


def test_sub_models_of_one_width_share_a_network_and_few_are_kept():
    it = engine()
    again = [train(it, on(TRAIN, sub=sub)).vector for sub in (SUB, hidden(0, 2, 5), SUB)]
    assert np.array_equal(again[0], again[2])
    assert len(it._compact._networks) == 1
    for width in (1, 2, 4, 5, 6):
        train(it, on(TRAIN, sub=hidden(*range(width))))
    assert len(it._compact._networks) == 6


def test_all_channels_are_the_whole_model_bit_for_bit():
    whole = train(engine(), on(TRAIN))
    compact = train(engine(), on(TRAIN, sub=hidden(*range(6))))
    assert np.array_equal(compact.vector, whole.vector)
    assert compact.mask.all()


def test_a_model_without_groups_is_its_own_sub_model():
    _, _, start = seeded(SmallLogistic)
    whole, sub = (
        engine_of(SmallLogistic, DATA).train(replace(on(TRAIN), vector=start, sub=sub))
        for sub in (None, SubModel(kept={}))
    )
    assert np.array_equal(whole.vector, sub.vector)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sub": SUB}, r"a start vector must have shape \(\d+,\), got"),
        ({"sub": hidden(1, 6)}, "channels of hidden must be below 6, got 6"),
        ({"sub": SubModel(kept={"conv": (0,)})}, "must name the groups hidden, got conv"),
        ({"vector": START[:-1]}, "a start vector must have shape"),
    ],
)
def test_works_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        engine().train(replace(on(TRAIN), **fields))


def test_layout_of_a_compact_model_has_the_order_of_the_whole_one():
    assert [entry.name for entry in Layout.of(NormCnn({"hidden": 2})).entries] == [
        e.name for e in LAYOUT.entries
    ]


def test_a_narrow_network_of_another_form_is_a_whole_that_shrinks():
    spec = EngineSpec(
        model="digits-cnn",
        personalised=False,
        batch_size=16,
        device="cpu",
        form=Form(input_shape=(3, 8, 8), classes=7, width=0.5),
    )
    model, layout = spec.build_model()
    structure = Structure.of(model, layout)
    assert structure.widths == {"conv1": 4, "conv2": 8, "fc1": 25}
    images = torch.randint(0, 256, (40, 3, 8, 8), generator=torch.Generator().manual_seed(1)).to(
        torch.uint8
    )
    data = replace(DATA, train_images=images, train_labels=torch.arange(40) % 7, classes=7)
    sub = SubModel.first(structure.uniform(0.5))
    start = layout.flatten(model).numpy()
    task = replace(work((TRAIN,)), vector=start, sub=sub)
    result = train_in_place(spec.build(data), structure, task)
    held = np.zeros(layout.size, dtype=bool)
    held[structure.flat_indices(sub)] = True
    assert np.array_equal(result.mask, held)
    assert np.array_equal(result.vector[~held], start[~held])
    assert np.mean(result.vector[held] != start[held]) > 0.5
