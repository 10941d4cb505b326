"""Fusion of a local and the global model, and the division of local steps."""

import numpy as np
import pytest

from training.engine.program import Train
from training.submodels.fusion import Fusion
from wirelessfl.errors import InputError

PROGRAM = (
    Train(part="shared", epochs=2, learning_rate=0.1, stream="batches/shared", feature_penalty=0.5),
)


def test_alpha_falls_to_its_least():
    fusion = Fusion()
    np.testing.assert_allclose([fusion.alpha(t) for t in (0, 1, 2)], [0.9, 0.72, 0.576])
    assert fusion.alpha(30) == 0.1


def test_the_fused_model_and_alpha_0_is_the_local_model_bit_for_bit():
    shared, local = np.array([1, 0], dtype=np.float32), np.array([3, 10], dtype=np.float32)
    np.testing.assert_allclose(Fusion().fused(shared, local, 0), [1.2, 1.0], rtol=1e-6)
    odd = np.random.default_rng(0).standard_normal(50).astype(np.float32)
    assert np.array_equal(Fusion(fusion_start=0, fusion_least=0).fused(-3 * odd, odd, 0), odd)


def test_steps_are_divided_and_the_penalty_comes_behind():
    before, behind = Fusion().split(PROGRAM, epoch_steps=5)
    common = {"part": "shared", "learning_rate": 0.1}
    assert before == (Train(steps=5, stream="batches/dense", **common),)
    assert behind == (Train(steps=5, stream="batches/shared", feature_penalty=0.5, **common),)
    assert [phase[0].steps for phase in Fusion(dense_share=0.25).split(PROGRAM, 3)] == [2, 4]
    assert Fusion(dense_share=0).split(PROGRAM, 5) == ((), PROGRAM)
    assert Fusion(dense_share=0.2).split(PROGRAM, 1) == ((), PROGRAM)  # round(0.4) steps are none


@pytest.mark.parametrize("name", ["dense_share", "fusion_start", "fusion_least", "fusion_decay"])
def test_shares_lie_within_0_and_1(name):
    with pytest.raises(InputError, match=rf"training.{name} must be at most 1, got 1.5"):
        Fusion(**{name: 1.5})
