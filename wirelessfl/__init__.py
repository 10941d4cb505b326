"""Wireless-network resource optimisation coupled to federated training.

`import wirelessfl as wfl` offers the public names below. Each is imported when it is first used,
so that the import itself is fast and loads neither torch nor CVXPY.
"""

from collections.abc import Callable
from typing import Any

from wirelessfl._shadowing import check_not_shadowed
from wirelessfl.lazy import names_in, on_first_use

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
        "page",
        "read",
        "register",
        "run",
        "simulate",
        "sweep",
    ),
    "studies.trackers.tensorboard": ("TensorBoard",),
}

__all__ = ["__version__", *names_in(_HOMES)]


__getattr__: Callable[[str], Any] = on_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
