"""Wireless-network resource optimisation coupled to federated training.

`import wirelessfl as wfl` offers the public names below. Each is imported when it is first used,
so that the import itself is fast and loads neither torch nor CVXPY.
"""

from importlib import import_module
from typing import Any

from wirelessfl._shadowing import check_not_shadowed

__version__ = "0.2.0"

check_not_shadowed()

_HOMES = {
    "wirelessfl.scenario.scenario": ("Scenario",),
    "wirelessfl.experiment": ("Experiment", "RunSettings"),
    "wirelessfl.protocols": ("Algorithm", "Allocator", "ChannelModel", "Runtime", "Trainer"),
    "wirelessfl.values": (
        "ChannelState",
        "Delivery",
        "Demand",
        "RoundRecord",
        "RoundTiming",
        "StepMetrics",
    ),
    "wirelessfl.allocation.problem": ("AllocationProblem",),
    "wirelessfl.allocation.noise_psd": ("NoisePsdProblem",),
    "wirelessfl.allocation.allocation": ("Allocation",),
    "wirelessfl.errors": ("InputError",),
    "optimizers": ("certify", "repair", "sensitivities", "solve", "what_if"),
    "wirelessfl.records.callbacks": ("Callback", "scalars"),
    "studies.api": (
        "allocate",
        "compare",
        "draw_sweep",
        "list_plugins",
        "load",
        "read",
        "register",
        "run",
        "simulate",
        "sweep",
    ),
    "studies.trackers.tensorboard": ("TensorBoard",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
