"""Costs of local programs: FLOPs and weight updates against manual counts."""

import numpy as np
import pytest
from helpers.federation import ALGORITHM_1, PRUNE, train

from training.engine.accounting import Accounting
from training.engine.program import Accumulate, Train, TrainMask, TrainPruned
from training.engine.updates import steps_of, updates
from training.sparsity.payload import upload_bits
from training.structure.layout import Layout
from wirelessfl import plugins
from wirelessfl.errors import InputError

CONV1, CONV2, FC1, FC2 = (
    25 * 10 * 24 * 24,
    250 * 20 * 8 * 8,
    320 * 50,
    50 * 10,
)  # MACs per sample of mnist-cnn
FORWARD = CONV1 + CONV2 + FC1 + FC2
MODEL = plugins.load("models", "mnist-cnn")()
LAYOUT = Layout.of(MODEL, MODEL.personal)
ACCOUNTING = Accounting.of(MODEL, LAYOUT)
DENSE = np.ones(LAYOUT.shared_size, dtype=bool)


@pytest.mark.parametrize(
    ("part", "macs"),
    [
        ("personal", FORWARD + (CONV1 + CONV2) + (CONV2 + FC1 + FC2)),
        ("shared", FORWARD + (FC1 + FC2) + FC2),
        ("all", FORWARD + FORWARD + (CONV2 + FC1 + FC2)),
    ],
)
def test_flops_of_a_dense_step_by_hand(part, macs):
    assert ACCOUNTING.flops((train(part, 1),), DENSE, 1) == 2 * macs
    assert ACCOUNTING.flops((train(part, 3),), DENSE, 128) == 2 * macs * 3 * 128


def test_pruned_layers_count_by_their_kept_fraction():
    mask = DENSE.copy()
    mask[: 50 * 320 // 4] = False  # a quarter of fc1's weights
    macs = CONV1 + CONV2 + 2 * (0.75 * FC1 + FC2) + FC2
    importance = ACCOUNTING.flops((train("shared", 1),), DENSE, 1)
    assert ACCOUNTING.flops((PRUNE, train("shared", 1)), mask, 1) == pytest.approx(
        importance + 2 * macs
    )


def test_flops_fall_with_the_mask_and_the_dense_round_bounds_them():
    program = (train("personal"), PRUNE, train("shared"))
    rng = np.random.default_rng(0)
    order = rng.permutation(LAYOUT.shared_size)
    flops = []
    for pruned in (0, 1_000, 8_000, 16_559):
        mask = DENSE.copy()
        mask[order[:pruned]] = False
        flops.append(ACCOUNTING.flops(program, mask, 128))
    assert flops == sorted(flops, reverse=True)
    assert len(set(flops)) == 4


def test_epochs_count_samples_and_other_phases_their_gradients():
    epochs = Train(part="all", epochs=2, learning_rate=0.1, stream="s")
    a_step = ACCOUNTING.flops((train("all", 1),), DENSE, 1)
    assert ACCOUNTING.flops(
        (epochs, train("all", 3)), DENSE, 128, epoch=(128, 128, 7)
    ) == a_step * (2 * 263 + 3 * 128)
    assert ACCOUNTING.flops((Accumulate(steps=2, stream="s"),), DENSE, 16) == 32 * a_step
    assert ACCOUNTING.flops(
        (Accumulate(steps=2, part="shared", stream="s"),), DENSE, 16
    ) == ACCOUNTING.flops((train("shared", 2),), DENSE, 16)


def test_masks_from_the_start_count_from_the_start():
    mask = DENSE.copy()
    mask[: 50 * 320 // 4] = False
    macs = 2 * (CONV1 + CONV2) + 2 * (0.75 * FC1 + FC2) + (CONV2 + 0.75 * FC1 + FC2)
    given = ACCOUNTING.flops((train("all", 3),), mask, 4, masked=True)
    learnt = TrainMask(keep=(), steps=3, learning_rate=1.0, stream="s")
    assert given == pytest.approx(2 * macs * 3 * 4)
    assert ACCOUNTING.flops((learnt,), mask, 4) == given
    assert ACCOUNTING.flops((train("all", 3),), mask, 4) > given


def test_whole_model_shared():
    whole = Accounting.of(MODEL, Layout.of(MODEL))
    mask = np.ones(21_840, dtype=bool)
    assert whole.flops((train("shared", 1),), mask, 1) == ACCOUNTING.flops(
        (train("all", 1),), DENSE, 1
    )


def test_upload_is_32_bits_a_kept_weight_and_a_bitmap_on_demand():
    mask = np.array([1, 0, 1, 1, 0, 0, 0, 1], dtype=bool)
    assert upload_bits(mask, count_mask_bits=False) == 4 * 32
    assert upload_bits(mask, count_mask_bits=True) == 4 * 32 + 8
    assert upload_bits(~mask & mask, count_mask_bits=True) == 0


def test_epochs_are_steps_of_a_client():
    epochs = Train(part="all", epochs=3, learning_rate=0.1, stream="s")
    assert steps_of(epochs, 7) == 21
    assert steps_of(train("all", 2), None) == 2
    with pytest.raises(InputError, match="3 local epochs have no number of steps without"):
        steps_of(epochs, None)


def test_updates_by_hand():
    assert updates(ALGORITHM_1, 10, 100) == (2 * 10 + 1 * 100, 2 * 100)
    epochs = Train(part="all", epochs=2, learning_rate=0.1, stream="s")
    assert updates((epochs,), 10, 100, epoch_steps=4) == (8 * 10, 8 * 100)
    assert updates((Accumulate(steps=3, stream="s"),), 10, 100) == (3 * 110, 0)
    assert updates((Accumulate(steps=3, part="shared", stream="s"),), 10, 100) == (300, 0)
    assert updates((TrainMask(keep=(0.5,), steps=1, learning_rate=1.0, stream="s"),), 10, 100) == (
        0,
        110,
    )
    assert updates(
        (TrainPruned(keep=(0.5,), steps=2, learning_rate=1.0, stream="s"),), 10, 100
    ) == (0, 220)
