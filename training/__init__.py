"""Federated training: data, models, masks, the engine and the algorithms.

The public names below, for algorithms of your own, are imported when they are first used, so that
`import training` loads no torch.
"""

from collections.abc import Callable
from typing import Any

from wirelessfl.lazy import names_in, on_first_use

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

__all__ = names_in(_HOMES)


__getattr__: Callable[[str], Any] = on_first_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return __all__
