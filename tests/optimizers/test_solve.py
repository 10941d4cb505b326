"""The public surface: names, objects and what it says to wrong ones."""

import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.problems import scenario_s
from numba.core.dispatcher import Dispatcher

import optimizers
import wirelessfl.allocation as allocation_package
from optimizers import Equal, Exact, MinLatency, _precompile, solve
from wirelessfl.allocation import problem as allocation
from wirelessfl.errors import InputError


def test_exact_is_the_default_and_names_stand_for_plug_ins():
    best = Exact().solve(scenario_s())
    np.testing.assert_array_equal(solve(scenario_s()).pruning_ratio, best.pruning_ratio)
    np.testing.assert_array_equal(
        solve(scenario_s(), method="exact").pruning_ratio, best.pruning_ratio
    )
    equal = Equal().solve(scenario_s())
    np.testing.assert_array_equal(solve(scenario_s(), "equal").pruning_ratio, equal.pruning_ratio)


def test_an_object_carries_its_settings():
    assert np.all(solve(scenario_s(), MinLatency(pruning_ratio=0.25)).pruning_ratio == 0.25)


def test_the_values_are_those_of_floor_1():
    assert optimizers.AllocationProblem is allocation.AllocationProblem
    assert optimizers.Allocation is allocation.Allocation


def test_an_unknown_name_is_named_with_the_nearest_one():
    with pytest.raises(InputError, match=r"'exakt' is not known \(did you mean 'exact'\?\)"):
        solve(scenario_s(), "exakt")


@pytest.mark.parametrize("method", [MinLatency, 3, None])
def test_something_that_is_no_allocator(method):
    with pytest.raises(InputError, match="method must be a plug-in's name or an allocator object"):
        solve(scenario_s(), method)


@pytest.mark.slow
def test_all_compiled_code_is_compiled_ahead():
    folders = [Path(package.__path__[0]) for package in (optimizers, allocation_package)]
    names = []
    for folder in folders:
        for file in sorted(folder.rglob("*.py")):
            if "\nfrom numba import" in file.read_text():
                names.append(".".join(file.relative_to(folder).with_suffix("").parts))
    assert sorted(names) == sorted(
        name.removeprefix("optimizers.").removeprefix("wirelessfl.allocation.")
        for name in _precompile.MODULES
    )
    optimizers.precompile()
    for name in _precompile.MODULES:
        for value in vars(sys.modules[name]).values():
            if isinstance(value, Dispatcher) and not value.__name__.startswith("_"):
                assert value.signatures, f"{name}.{value.__name__} waits for its first call"
