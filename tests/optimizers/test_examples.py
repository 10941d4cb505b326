"""Docstring examples and public names of the allocators and channel models."""

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


@pytest.mark.parametrize("package", ["optimizers", "channel_models"])
def test_every_public_name_can_be_imported(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'Unknown'"):
        _ = module.Unknown
