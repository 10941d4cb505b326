"""A single entry point for all allocators."""

import os
from functools import cache

from wirelessfl import plugins
from wirelessfl.allocation.allocation import Allocation
from wirelessfl.allocation.problem import Problem
from wirelessfl.errors import InputError
from wirelessfl.protocols import Allocator


def solve(problem: Problem, method: str | Allocator = "exact") -> Allocation:
    """Solve an allocation problem.

    Infeasibility is a result with a reason (`Allocation.status`, `Allocation.reason`), never an
    exception.

    Args:
        problem: The problem, arrays (..., K); a batch is solved in one call.
        method: Name of a plug-in, such as `exact` or `max-min`, or an allocator such as
            `MinLatency()`.

    Returns:
        The allocation, arrays (..., K), with its prices (...,).

    Raises:
        InputError: Unknown name, or an object without `solve`.

    Example:
        >>> from optimizers import AllocationProblem, solve
        >>> problem = AllocationProblem(
        ...     deadline_s=1.0, fixed_s=0.0, prunable_s=0.5, upload_bits=1e6, rate_bps=[1e6, 2e6]
        ... )
        >>> solve(problem).status.tolist()
        ['active', 'active']
    """
    if isinstance(method, str):
        return _named(method, os.environ.get("WIRELESSFL_PLUGINS")).solve(problem)
    if isinstance(method, type) or not callable(getattr(method, "solve", None)):
        raise InputError(f"method must be a plug-in's name or an allocator object, got {method!r}")
    return method.solve(problem)


@cache
def _named(name: str, plugin_folder: str | None) -> Allocator:
    """The plug-in `name`, looked up once per plug-in folder, because discovery is slow."""
    allocator: Allocator = plugins.load("allocators", name)()
    return allocator
