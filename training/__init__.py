"""Federated training: data, models, masks, the engine and the algorithms.

The public names below, for algorithms of your own, are imported when they are first used, so that
`import training` loads no torch.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "training.data.card": ("Card",),
    "training.data.dataset": ("Dataset",),
    "training.task": ("Task",),
    "training.engine.local_sgd": ("LocalSgd", "LocalSteps"),
    "training.engine.program": ("Accumulate", "Prune", "Train", "TrainMask", "TrainPruned"),
    "training.server.method": ("ServerMethod",),
    "training.server.algorithm": ("ServerBased",),
    "training.server.global_mask": ("GlobalMaskBased", "GlobalMaskMethod"),
    "training.submodels.method": ("SubModelMethod",),
    "training.submodels.trainer": ("SubModelBased",),
    "training.decentralised.method": ("AgentContext", "LocalOutcome", "PeerMethod"),
    "training.decentralised.state": ("PeerState",),
    "training.decentralised.trainer": ("PeerBased",),
    "training.control_variates.algorithm": ("ControlVariateBased",),
    "training.control_variates.local_descent": ("LocalDescent",),
    "training.control_variates.method": ("ControlVariateMethod", "UpdateRules"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
