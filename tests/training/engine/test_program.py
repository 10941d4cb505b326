"""Programs as data: lengths of phases and invalid work."""

import numpy as np
import pytest
from helpers.federation import PRUNE, work
from hypothesis import given
from hypothesis import strategies as st

from training.engine.program import Accumulate, LocalWork, Train, TrainMask, epoch_batches
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams

TRAIN_MASK = TrainMask(keep=(0.5,), steps=1, learning_rate=1.0, stream="s")


@given(st.integers(1, 1000), st.integers(1, 300))
def test_an_epoch_is_all_samples(samples, batch_size):
    sizes = epoch_batches(samples, batch_size)
    assert sum(sizes) == samples
    assert all(size == batch_size for size in sizes[:-1])
    without = epoch_batches(samples, batch_size, smallest=2)
    assert without == [size for size in sizes if size >= 2 or batch_size == 1]


@pytest.mark.parametrize("length", [{}, {"steps": 1, "epochs": 1}])
def test_a_phase_counts_steps_or_epochs(length):
    for make in (
        lambda: Train(part="all", learning_rate=0.1, stream="s", **length),
        lambda: Accumulate(stream="s", **length),
        lambda: TrainMask(keep=(), learning_rate=0.1, stream="s", **length),
    ):
        with pytest.raises(InputError, match=r"needs either steps or epochs"):
            make()


def test_work_that_does_not_fit_its_program():
    with pytest.raises(InputError, match="a program that prunes takes no mask"):
        LocalWork(
            client=0,
            vector=np.zeros(3, dtype=np.float32),
            program=(PRUNE,),
            pruning_ratio=0.5,
            streams=Streams(0),
            mask=np.ones(3, dtype=bool),
        )
    with pytest.raises(InputError, match="a program that trains a mask needs scores"):
        work((TRAIN_MASK,))
