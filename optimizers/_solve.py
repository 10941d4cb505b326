"""One function for all allocators."""

import os
from functools import cache

from wirelessfl import plugins
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Problem
from wirelessfl.errors import InputError
from wirelessfl.protocols import Allocator


def solve(problem: Problem, method: str | Allocator = "exact") -> Allocation:
    """Solve `problem` with the allocator `method`: a plug-in's name or an object such as
    `MinLatency()`.

    Infeasibility is a result with a reason. Raises `InputError` for a name that no plug-in has.
    """
    if isinstance(method, str):
        return _named(method, os.environ.get("WIRELESSFL_PLUGINS")).solve(problem)
    if isinstance(method, type) or not callable(getattr(method, "solve", None)):
        raise InputError(f"method must be a plug-in's name or an allocator object, got {method!r}")
    return method.solve(problem)


@cache
def _named(name: str, plugin_folder: str | None) -> Allocator:
    """The plug-in `name`, looked up once per plug-in folder: discovery takes longer than a
    solution.
    """
    allocator: Allocator = plugins.load("allocators", name)()
    return allocator
