"""Fixtures of all tests."""

from collections.abc import Iterator

import pytest

from wirelessfl import plugins


@pytest.fixture(autouse=True)
def _no_classes_of_other_tests() -> Iterator[None]:
    """Forget the classes that a test registers as plug-ins."""
    yield
    plugins._local.clear()
