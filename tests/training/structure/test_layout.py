"""The flat vector of a model: order, sizes, views."""

import numpy as np
import pytest
import torch
from helpers.federation import SPEC
from torch import nn

from training.structure.layout import Layout
from wirelessfl import plugins
from wirelessfl.errors import InputError


def test_personal_part_first_in_the_order_of_the_model():
    layout = SPEC.build_model()[1]
    assert [entry.name for entry in layout.entries] == [
        "conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias",
        "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias",
    ]  # fmt: skip
    assert (layout.personal_size, layout.shared_size, layout.size) == (1248, 3760, 5008)


def test_sizes_of_the_paper_model():
    model = plugins.load("models", "mnist-cnn")()
    layout = Layout.of(model, model.personal)
    assert (layout.personal_size, layout.shared_size, layout.size) == (5_280, 16_560, 21_840)
    whole = Layout.of(model)
    assert (whole.personal_size, whole.shared_size) == (0, 21_840)


def test_personal_module_behind_the_shared_one():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    layout = Layout.of(model, ("1",))
    assert [(entry.name, entry.offset) for entry in layout.entries] == [
        ("1.weight", 0), ("1.bias", 3), ("0.weight", 4), ("0.bias", 10),
    ]  # fmt: skip


def test_bound_model_is_a_view_of_the_vector():
    model, layout = SPEC.build_model()
    before = layout.flatten(model)
    vector, gradient = before.clone(), torch.zeros(layout.size)
    layout.bind(model, vector, gradient)
    images = torch.randn(4, 1, 8, 8)
    model(images).sum().backward()
    assert all(gradient[entry.slice].abs().sum() > 0 for entry in layout.entries)
    vector.zero_()
    assert torch.equal(layout.flatten(model), torch.zeros(layout.size))
    np.testing.assert_array_equal(model(images).detach().numpy(), 0.0)


def test_a_model_with_dropout_is_refused():
    with pytest.raises(InputError, match=r"training\.model Sequential must have no dropout"):
        Layout.of(nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5)))


def test_batch_norm_that_counts_its_batches_is_refused():
    with pytest.raises(
        InputError, match=r"training\.model Sequential must fix the momentum of batch norm"
    ):
        Layout.of(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, momentum=None)))


def test_running_statistics_lie_behind_the_weights_those_of_the_personal_part_last():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 4), nn.BatchNorm1d(4))
    layout = Layout.of(model, ("0", "1"))
    assert [(entry.name, entry.offset) for entry in layout.entries] == [
        ("0.weight", 0), ("0.bias", 6), ("1.weight", 9), ("1.bias", 12),
        ("2.weight", 15), ("2.bias", 27), ("3.weight", 31), ("3.bias", 35),
        ("3.running_mean", 39), ("3.running_var", 43),
        ("1.running_mean", 47), ("1.running_var", 50),
    ]  # fmt: skip
    assert (layout.personal_size, layout.parameter_size, layout.size) == (15, 39, 53)
    assert (layout.shared_size, layout.shared_buffer_size, layout.upload_size) == (24, 8, 32)
    assert (layout.shared, layout.upload, layout.buffers) == (
        slice(15, 39),
        slice(15, 47),
        slice(39, 53),
    )
    assert [entry.name for entry in layout.parameters] == [
        entry.name for entry in layout.entries[:8]
    ]


def test_bound_running_statistics_are_views_too():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    layout = Layout.of(model)
    vector = layout.flatten(model)
    assert vector[layout.buffers].tolist() == [0, 0, 0, 1, 1, 1]
    layout.bind(model, vector, torch.zeros(layout.parameter_size))
    plain = nn.BatchNorm1d(3)
    inputs = torch.randn(8, 2)
    plain(model[0](inputs))
    model(inputs)
    assert torch.equal(vector[layout.buffers], torch.cat([plain.running_mean, plain.running_var]))


def test_a_filled_model_has_the_values_of_the_vector():
    """Weights and running statistics, of a network whose personal part lies in its middle."""
    build = plugins.load("models", "resnet20")
    model = build()
    layout = Layout.of(model, ("blocks.1",))
    assert 0 < layout.personal_size < layout.parameter_size
    vector = torch.randn(layout.size, generator=torch.Generator().manual_seed(0))
    layout.fill(model, vector)
    assert torch.equal(layout.flatten(model), vector)
    again = build()
    again.load_state_dict(model.state_dict())
    assert torch.equal(layout.flatten(again), vector)
    vector.zero_()
    assert layout.flatten(model).any()
