from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from helpers.federation import made_up_data, work
from helpers.small_models import NormCnn, engine_of, seeded

from training.layout import Layout
from training.program import Accumulate, Prune, Train
from wirelessfl.errors import InputError

DATA = made_up_data(samples=40)
_, LAYOUT, START = seeded(NormCnn)
TRAIN = Train(part="all", epochs=2, learning_rate=0.1, momentum=0.9, weight_decay=0.01, clip_norm=1.0, stream="s")


@dataclass(frozen=True)
class Hidden:
    """A sub-model by hand: which of the six hidden channels are kept."""

    kept: tuple[int, ...]

    @property
    def widths(self) -> Mapping[str, int]:
        return {"hidden": len(self.kept)}


class ByHand:
    """Where the channels of `NormCnn` lie: rows of conv and norm, groups of four columns of the head."""

    def flat_indices(self, sub: Hidden) -> np.ndarray:
        kept, pieces = np.array(sub.kept), []
        for entry in LAYOUT.entries:
            places = entry.offset + np.arange(entry.size).reshape(entry.shape)
            if entry.name == "head.weight":
                places = places.reshape(10, 6, 4)[:, kept]
            elif entry.name != "head.bias":
                places = places[kept]
            pieces.append(places.ravel())
        return np.concatenate(pieces).astype(np.int64)


def engine():
    it = engine_of(NormCnn, DATA)
    it._compact.structure = ByHand()
    return it


def on(*program, **fields):
    return replace(work(program), vector=START, **fields)


SUB = Hidden((1, 3, 4))
HELD = np.zeros(LAYOUT.size, dtype=bool)
HELD[ByHand().flat_indices(SUB)] = True


@pytest.mark.parametrize("correction", [None, np.full(LAYOUT.size, 0.1, dtype=np.float32)])
def test_a_compact_network_trains_as_the_masked_whole_one(correction):
    compact = engine().train(on(TRAIN, sub=SUB, correction=correction))
    masked = engine().train(on(TRAIN, mask=HELD[: LAYOUT.parameter_size], correction=correction))
    np.testing.assert_allclose(compact.vector[HELD], masked.vector[HELD], atol=1e-6)
    assert compact.loss == pytest.approx(masked.loss, rel=1e-6)
    assert np.array_equal(compact.vector[~HELD], START[~HELD])
    assert np.array_equal(compact.mask, HELD[LAYOUT.upload])


def test_sums_lie_at_their_places():
    sums = engine().train(on(Accumulate(epochs=1, stream="s"), sub=SUB)).sums["gradient"]
    held = HELD[: LAYOUT.parameter_size]
    masked = engine().train(on(Accumulate(epochs=1, stream="s"), mask=held)).sums["gradient"]
    assert sums.shape == (LAYOUT.parameter_size,)
    np.testing.assert_allclose(sums[held], masked[held], atol=1e-6)
    assert not sums[~held].any()


def test_what_is_pruned_of_a_sub_model_is_not_held():
    prune = Prune(steps=1, learning_rate=0.1, stream="i")
    result = engine().train(replace(on(prune, TRAIN, sub=SUB), pruning_ratio=0.5))
    weights = result.mask[: LAYOUT.shared_size]
    held = HELD[LAYOUT.shared]
    assert weights.sum() == held.sum() // 2
    assert not weights[~held].any()
    assert not result.vector[LAYOUT.shared][held & ~weights].any()


def test_sub_models_of_one_width_share_a_network_and_few_are_kept():
    it = engine()
    again = [it.train(on(TRAIN, sub=sub)).vector for sub in (SUB, Hidden((0, 2, 5)), SUB)]
    assert np.array_equal(again[0], again[2])
    assert len(it._compact._networks) == 1
    for width in (1, 2, 4, 5, 6):
        it.train(on(TRAIN, sub=Hidden(tuple(range(width)))))
    assert len(it._compact._networks) == 6


def test_all_channels_are_the_whole_model_bit_for_bit():
    whole = engine().train(on(TRAIN))
    compact = engine().train(on(TRAIN, sub=Hidden(tuple(range(6)))))
    assert np.array_equal(compact.vector, whole.vector)
    assert compact.mask.all()


def test_indices_of_another_size_are_refused():
    class Wrong:
        def flat_indices(self, sub):
            return np.arange(3)

    it = engine()
    it._compact.structure = Wrong()
    with pytest.raises(InputError, match=r"a sub-model of \d+ numbers got 3 indices"):
        it.train(on(TRAIN, sub=SUB))


def test_layout_of_a_compact_model_has_the_order_of_the_whole_one():
    assert [entry.name for entry in Layout.of(NormCnn({"hidden": 2})).entries] == [e.name for e in LAYOUT.entries]
