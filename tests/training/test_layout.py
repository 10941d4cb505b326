import numpy as np
import pytest
import torch
from helpers.federation import SPEC
from torch import nn

from training.layout import Layout
from wirelessfl import plugins
from wirelessfl.errors import InputError


def test_personal_part_first_in_the_order_of_the_model():
    layout = SPEC.build_model()[1]
    assert [entry.name for entry in layout.entries] == [
        "conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias",
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


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), nn.Dropout(0.5)])
def test_models_with_hidden_state_are_refused(layer):
    with pytest.raises(InputError, match=r"training\.model Sequential must have no buffers .* and no dropout"):
        Layout.of(nn.Sequential(nn.Linear(2, 3), layer))
