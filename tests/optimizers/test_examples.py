"""The examples in the docstrings of the allocators and channel models print what they say."""

import doctest
import importlib

import pytest

MODULES = (
    "optimizers",
    "optimizers._solve",
    "optimizers._analysis.whatif",
    "optimizers._joint.solve",
    "optimizers.resource_blocks",
    "channel_models._propagation.path_loss",
    "channel_models._propagation.building_entry",
    "channel_models.rayleigh",
    "channel_models.tr38901_umi",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
