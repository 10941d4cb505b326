"""Local training as data (a program) and its interpreter (the engine)."""

from importlib import import_module
from typing import Any

_HOMES = {
    "training.engine.accounting": ("Accounting",),
    "training.engine.engine": ("Engine",),
    "training.engine.spec": ("EngineSpec",),
    "training.engine.local_sgd": (
        "LocalSgd",
        "LocalSteps",
    ),
    "training.engine.program": (
        "Accumulate",
        "EvaluationWork",
        "LocalResult",
        "LocalWork",
        "Program",
        "Prune",
        "SampleSelection",
        "Train",
        "TrainMask",
        "TrainPruned",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use (PEP 562): torch takes a second."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value
