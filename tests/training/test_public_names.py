"""The public names of `training`."""

import subprocess
import sys

import pytest

import training


@pytest.mark.parametrize("name", training.__all__)
def test_a_public_name_is_that_of_its_home(name):
    value = getattr(training, name)
    assert value.__name__ == name
    assert value.__module__.startswith("training.")
    assert value.__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = training.Nothing


def test_the_import_loads_no_torch():
    code = "import sys, training; assert 'torch' not in sys.modules; print(len(dir(training)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(training.__all__)
