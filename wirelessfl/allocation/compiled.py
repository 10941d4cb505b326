"""Compiled functions (numba), loaded once they pay: the import alone takes about half a second."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

PAYS_AFTER = 2000  # calls whose array code has taken about as long as the import


class Compiled:
    """A compiled function of a module that imports numba.

    Attributes:
        function: The function, None until it is loaded.
    """

    def __init__(self, module: str, name: str, together: "Compiled | None" = None) -> None:
        self._together = together  # another function that is loaded with this one
        self.function: Callable[..., Any] | None = None
        self._module = module
        self._name = name
        self._calls = 0

    def load(self) -> Callable[..., Any]:
        """Load the function.

        Returns:
            The function.
        """
        function = self.function
        if function is None:
            function = getattr(import_module(self._module), self._name)
            self.function = function
            if self._together is not None:
                self._together.load()
        return function

    def worthwhile(self) -> Callable[..., Any] | None:
        """Count a call whose answer is the same to the bit either way.

        Returns:
            The function; None before it pays, or without numba.
        """
        if self.function is None:
            self._calls += 1
            if self._calls > PAYS_AFTER and numba_is_there():
                self.load()
        return self.function


@cache
def numba_is_there() -> bool:
    """True if numba is installed."""
    return find_spec("numba") is not None
