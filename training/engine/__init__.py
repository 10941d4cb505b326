"""Local training as data (a program) and its interpreter (the engine)."""

from collections.abc import Callable
from typing import Any

from wirelessfl.lazy import names_in, on_first_use

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

__all__ = names_in(_HOMES)


__getattr__: Callable[[str], Any] = on_first_use(__name__, _HOMES)
