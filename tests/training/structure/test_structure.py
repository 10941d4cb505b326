"""Sub-models: places, costs and the largest one within a budget."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.federation import SPEC, engine, train, work
from helpers.sub_models import train_in_place
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from training.engine.accounting import Accounting
from training.engine.program import Train
from training.structure.build import build, build_like
from training.structure.form import Form
from training.structure.layout import Layout
from training.structure.structure import Group, Structure
from training.structure.submodel import SubModel
from wirelessfl import plugins
from wirelessfl.errors import InputError

SHRINKING = [
    name for name in plugins.names("models") if getattr(plugins.load("models", name), "groups", ())
]
SMALL = ["digits-cnn", "mnist-cnn", "mlp", "resnet20"]


class Toy(nn.Module):
    """Three hidden channels, an image of 2 pixels each, and a batch norm."""

    input_shape = (1, 1, 2)
    classes = 2
    groups = (Group(name="hidden", width=3, rows=("conv", "norm"), columns=("fc",)),)

    def __init__(self, widths=None):
        super().__init__()
        hidden = (widths or {"hidden": 3})["hidden"]
        self.conv = nn.Conv2d(1, hidden, 1)
        self.norm = nn.BatchNorm2d(hidden)
        self.fc = nn.Linear(2 * hidden, 2)

    def forward(self, images):
        return self.fc(self.norm(self.conv(images)).relu().flatten(1))


def _model(name):
    torch.manual_seed(0)
    return Toy() if name == "toy" else plugins.load("models", name)()


def _structure(model, personal=()):
    return Structure.of(model, Layout.of(model, personal))


def _random(structure, seed=0):
    """Random channels in random number, at least one."""
    rng = np.random.default_rng(seed)
    masks = {}
    for name, width in structure.widths.items():
        masks[name] = np.zeros(width, dtype=bool)
        masks[name][rng.permutation(width)[: rng.integers(1, width + 1)]] = True
    return SubModel.where(masks)


def _compact(model, structure, sub, vector):
    """The compact network with its share of `vector`."""
    compact = type(model)(widths=sub.widths)
    layout = Layout.of(compact)
    taken = vector[torch.from_numpy(structure.flat_indices(sub))]
    assert len(taken) == layout.size
    layout.bind(compact, taken, torch.zeros(layout.parameter_size))
    return compact, taken


def test_positions_by_hand():
    """conv.weight 0-2, conv.bias 3-5, norm.weight 6-8, norm.bias 9-11, fc.weight 12-23, fc.bias
    24-25, running mean 26-28, running variance 29-31; channels 0 and 2 have the columns 0, 1, 4, 5
    of 6.
    """
    found = _structure(Toy()).flat_indices(SubModel(kept={"hidden": (0, 2)}))
    rows = [0, 2, 3, 5, 6, 8, 9, 11]
    assert found.tolist() == [*rows, 12, 13, 16, 17, 18, 19, 22, 23, 24, 25, 26, 28, 29, 31]
    assert found.dtype == np.int64


def test_costs_by_hand():
    structure, sub = _structure(Toy()), SubModel(kept={"hidden": (0, 2)})
    assert structure.parameters(sub) == 18
    assert structure.bits(sub) == 32 * 22  # with the running statistics
    assert structure.macs(sub) == {"conv": 2 * 2, "fc": 4 * 2}
    assert structure.flops(sub) == 2 * (
        4 + 8 + 4 + 8 + 8
    )  # forward, both weight gradients, one input gradient
    assert structure.profiled(sub) == 4 + 8 + 4 * 4


@pytest.mark.parametrize("name", SHRINKING)
def test_everything_kept_is_the_model(name):
    structure = _structure(_model(name))
    whole = SubModel.first(structure.widths)
    assert np.array_equal(structure.flat_indices(whole), np.arange(structure.layout.size))
    assert structure.parameters(whole) == structure.layout.parameter_size


@pytest.mark.parametrize("name", SHRINKING)
def test_costs_are_those_of_the_compact_network(name):
    model = _model(name)
    structure = _structure(model, model.personal)
    sub = _random(structure)
    compact = type(model)(widths=sub.widths)
    layout = Layout.of(compact, model.personal)
    assert len(structure.flat_indices(sub)) == layout.size
    assert structure.parameters(sub) == layout.parameter_size
    assert structure.bits(sub) == 32 * layout.upload_size
    step = Train(part="all", steps=1, learning_rate=0.1, stream="s")
    dense = np.ones(layout.shared_size, dtype=bool)
    assert structure.flops(sub) == Accounting.of(compact, layout).flops((step,), dense, 1)


@pytest.mark.parametrize("name", ["toy", *SHRINKING])
def test_compact_is_the_whole_model_with_zeros(name):
    """In training mode, so that batch norm sees the batch; a zeroed channel has weight and bias 0
    in its norm too.
    """
    model = _model(name)
    structure = _structure(model)
    layout, sub = structure.layout, _random(structure, seed=3)
    vector = layout.flatten(model)
    held = torch.zeros(layout.size)
    held[structure.flat_indices(sub)] = 1.0
    masked = vector * held
    layout.bind(model, masked, torch.zeros(layout.parameter_size))
    compact, taken = _compact(model, structure, sub, vector)
    images = torch.randn(4, *model.input_shape)
    with torch.no_grad():
        expected, found = model(images), compact(images)
    normalises = layout.size > layout.parameter_size
    tolerance = (
        2e-4 if normalises or name == "alexnet-like" else 1e-5
    )  # response norm sees other neighbours
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()
    if normalises:  # the running statistics have moved alike
        moved = masked[structure.flat_indices(sub)]
        torch.testing.assert_close(taken, moved, rtol=2e-4, atol=2e-4)
        assert not torch.equal(taken, vector[structure.flat_indices(sub)])


@pytest.mark.parametrize(("without", "tolerance"), [((), 1.0), (("lrn",), 1e-6)])
def test_without_response_norm_a_compact_network_is_the_masked_one(without, tolerance):
    """With activations far from 0 the whole network's norm depends on the removed neighbours."""
    torch.manual_seed(0)
    model = build("alexnet-like", Form(width=0.25, without=without))
    structure = _structure(model)
    layout, sub = structure.layout, _random(structure, seed=3)
    vector = 4.0 * layout.flatten(model)
    held = torch.zeros(layout.size)
    held[structure.flat_indices(sub)] = 1.0
    layout.bind(model, vector * held, torch.zeros(layout.parameter_size))
    compact = build_like(model, sub.widths)
    small = Layout.of(compact)
    small.bind(compact, vector[structure.flat_indices(sub)], torch.zeros(small.parameter_size))
    images = 4.0 * torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        expected, found = model(images), compact(images)
    gap = float((found - expected).abs().max() / expected.abs().max())
    assert gap <= tolerance
    assert gap > 1e-4 or without


def test_a_client_trains_the_compact_network_like_the_masked_whole():
    task = work((train("all", 5),))
    model, layout = SPEC.build_model()
    structure = Structure.of(model, layout)
    sub = _random(structure, seed=5)
    held = np.zeros(layout.size, dtype=bool)
    held[structure.flat_indices(sub)] = True
    ours = engine()
    compact = train_in_place(ours, structure, replace(task, sub=sub))
    masked = ours.train(replace(task, mask=held))
    np.testing.assert_allclose(compact.vector[held], masked.vector[held], atol=1e-6)
    assert np.array_equal(compact.vector[~held], task.vector[~held])
    assert np.array_equal(compact.mask, held[layout.shared])
    assert compact.loss == pytest.approx(masked.loss, rel=1e-6)


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(name=st.sampled_from(SMALL), seed=st.integers(0, 2**16))
def test_scattering_back_changes_what_was_taken_and_nothing_else(name, seed):
    structure = _structure(_model(name))
    indices = structure.flat_indices(_random(structure, seed))
    assert len(np.unique(indices)) == len(indices)
    whole = np.arange(structure.layout.size, dtype=np.float32)
    compact = whole[indices]
    changed = whole.copy()
    changed[indices] = compact + 0.5
    assert np.array_equal(changed[indices] - 0.5, compact)
    others = np.setdiff1d(np.arange(len(whole)), indices)
    assert np.array_equal(changed[others], whole[others])


@settings(max_examples=10, deadline=None)
@given(name=st.sampled_from(SMALL), seed=st.integers(0, 2**16))
def test_nested_channels_have_nested_positions(name, seed):
    structure = _structure(_model(name))
    outer = _random(structure, seed)
    rng = np.random.default_rng(seed)
    inner = SubModel(
        kept={
            group: tuple(sorted(rng.permutation(kept)[: rng.integers(1, len(kept) + 1)].tolist()))
            for group, kept in outer.kept.items()
        }
    )
    assert set(structure.flat_indices(inner)) <= set(structure.flat_indices(outer))


@pytest.mark.parametrize("name", ["cnn", "vgg16", "resnet20"])
@pytest.mark.parametrize("seed", [1, 2])
def test_torch_pruning_leaves_the_same_numbers(name, seed):
    """The whole model is filled with its own flat positions; what Torch-Pruning leaves of them are
    our indices.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch_pruning as tp
    model = _model(name).double()
    structure = _structure(model)
    sub = _random(structure, seed)
    positions = torch.arange(structure.layout.size, dtype=torch.float64)
    structure.layout.bind(model, positions, positions.clone())
    graph = tp.DependencyGraph().build_dependency(
        model, torch.randn(2, *model.input_shape, dtype=torch.float64)
    )
    for group in model.groups:
        layer = model.get_submodule(group.rows[0])
        prune = (
            tp.prune_conv_out_channels
            if isinstance(layer, nn.Conv2d)
            else tp.prune_linear_out_channels
        )
        pruned = sorted(set(range(group.width)) - set(sub.kept[group.name]))
        if pruned:
            graph.get_pruning_group(layer, prune, idxs=pruned).prune()
    left = dict(model.named_parameters()) | dict(model.named_buffers())
    survivors = torch.cat(
        [left[entry.name].detach().reshape(-1) for entry in structure.layout.entries]
    )
    assert np.array_equal(survivors.numpy(), structure.flat_indices(sub))


@pytest.mark.parametrize("name", ["toy", "cnn", "resnet32"])
def test_uniform_widths(name):
    structure = _structure(_model(name))
    for ratio in (0.0, 0.1, 0.25, 0.5, 0.9, 1.0):
        assert structure.uniform(ratio) == {
            group: max(1, round((1 - ratio) * width)) for group, width in structure.widths.items()
        }


def test_whole_groups_lose_nothing():
    structure = _structure(_model("cnn")).without_pruning(("conv2",))
    assert structure.uniform(0.75) == {"conv1": 8, "conv2": 64, "fc1": 128}
    whole = SubModel.first(structure.widths)
    grid = [SubModel.first(structure.uniform(ratio)) for ratio in np.linspace(0, 1, 5001)]
    first = next(sub for sub in grid if structure.bits(sub) <= 0.6 * structure.bits(whole))
    assert structure.largest_within(bits_fraction=0.6, flops_fraction=1.0) == first.widths
    assert structure.without_pruning(("conv1", "conv2", "fc1")).uniform(0.9) == structure.widths


def test_a_whole_group_that_the_model_lacks_is_one_line():
    with pytest.raises(
        InputError, match=r"training\.whole_groups must be one of conv1, conv2, fc1; got 'conv3'"
    ):
        _structure(_model("cnn")).without_pruning(("conv1", "conv3"))


def test_table_of_ratios():
    structure = _structure(_model("resnet20"))
    table = structure.table([0.0, 0.5, 0.9])
    assert table.pruning_ratio.tolist() == [0.0, 0.5, 0.9]
    assert table.kept_fraction[0] == 1.0
    for i, ratio in enumerate((0.0, 0.5, 0.9)):
        sub = SubModel.first(structure.uniform(ratio))
        assert table.parameters[i] == structure.parameters(sub)
        assert table.bits[i] == structure.bits(sub)
        assert table.flops[i] == structure.flops(sub)
        assert table.kept_fraction[i] == structure.parameters(sub) / 272_474


@pytest.mark.parametrize(
    ("bits_fraction", "flops_fraction"),
    [(1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.5, 0.4), (0.05, 0.05)],
)
@pytest.mark.parametrize("name", ["cnn", "mnist-cnn"])
def test_the_largest_that_fits_is_the_first_of_a_fine_grid(name, bits_fraction, flops_fraction):
    structure = _structure(_model(name))
    found = SubModel.first(
        structure.largest_within(bits_fraction=bits_fraction, flops_fraction=flops_fraction)
    )
    whole = SubModel.first(structure.widths)
    for ratio in np.linspace(0, 1, 2001):
        sub = SubModel.first(structure.uniform(ratio))
        shares = (
            structure.bits(sub) / structure.bits(whole),
            structure.flops(sub) / structure.flops(whole),
        )
        if shares[0] <= bits_fraction and shares[1] <= flops_fraction:
            break
    assert found.widths == sub.widths


def test_nothing_fits():
    assert _structure(_model("mlp")).largest_within(bits_fraction=1e-4, flops_fraction=1.0) is None


def test_a_model_that_was_built_narrower_is_a_whole_of_its_own():
    narrow = plugins.load("models", "cnn")(widths={"conv1": 8, "conv2": 16, "fc1": 32})
    structure = _structure(narrow)
    assert structure.widths == {"conv1": 8, "conv2": 16, "fc1": 32}
    sub = SubModel.first(structure.uniform(0.5))
    assert sub.widths == {"conv1": 4, "conv2": 8, "fc1": 16}
    compact, _ = _compact(narrow, structure, sub, structure.layout.flatten(narrow))
    assert compact(torch.randn(2, 1, 28, 28)).shape == (2, 10)


def test_a_model_without_groups_has_one_sub_model():
    structure = _structure(_model("logistic"))
    assert structure.widths == {}
    assert np.array_equal(structure.flat_indices(SubModel(kept={})), np.arange(7850))
    assert structure.parameters(SubModel(kept={})) == 7850


def test_sub_models_travel_between_processes():
    sub = SubModel(kept={"hidden": (0, 2)})
    assert pickle.loads(pickle.dumps(sub)) == sub
    assert sub.widths == {"hidden": 2}
    assert SubModel.where({"hidden": np.array([True, False, True])}) == sub


@pytest.mark.parametrize("channels", [(), (2, 1), (1, 1), (-1, 0)])
def test_channels_are_ascending_and_at_least_one(channels):
    with pytest.raises(
        InputError, match="a sub-model must keep ascending channels of hidden, at least one, got"
    ):
        SubModel(kept={"hidden": channels})


def test_channels_that_the_model_does_not_have():
    structure = _structure(Toy())
    with pytest.raises(InputError, match="channels of hidden must be below 3, got 3"):
        structure.flat_indices(SubModel(kept={"hidden": (0, 3)}))
    with pytest.raises(InputError, match="a sub-model must name the groups hidden, got other"):
        structure.flat_indices(SubModel(kept={"other": (0,)}))


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (
            ("conv",),
            ("norm",),
            "group hidden of Wrong must own axis 1 of tensors of norm, got none",
        ),
        (
            ("conv", "none"),
            ("fc",),
            "group hidden of Wrong must own axis 0 of tensors of none, got none",
        ),
        (
            ("conv", "conv"),
            ("fc",),
            "must have axis 0 of conv.weight for itself and 3 channels there",
        ),
        (
            ("conv", "fc"),
            (),
            "must have axis 0 of fc.weight for itself and 3 channels there, got .2, 6.",
        ),
    ],
)
def test_groups_that_do_not_fit_the_shapes(rows, columns, message):
    class Wrong(Toy):
        groups = (Group(name="hidden", width=3, rows=rows, columns=columns),)

    with pytest.raises(InputError, match=message):
        _structure(Wrong())
