"""Examples in docstrings of `training` give the printed output."""

import doctest
import importlib
from pathlib import Path

import pytest

import training

ROOT = Path(training.__file__).parent
EXAMPLES = sorted(
    ".".join(["training", *file.relative_to(ROOT).with_suffix("").parts])
    for file in ROOT.rglob("*.py")
    if ">>>" in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_give_the_printed_output(name):
    tried = doctest.testmod(importlib.import_module(name))
    assert tried.attempted > 0
    assert tried.failed == 0
