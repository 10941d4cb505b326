"""Local training as data (a program) and its interpreter (the engine)."""

from training.engine.accounting import Accounting
from training.engine.engine import Engine, EngineSpec
from training.engine.local_sgd import LocalSgd, LocalSteps
from training.engine.program import (
    Accumulate,
    EvaluationWork,
    LocalResult,
    LocalWork,
    Program,
    Prune,
    SampleSelection,
    Train,
    TrainMask,
    TrainPruned,
)

__all__ = [
    "Accounting",
    "Accumulate",
    "Engine",
    "EngineSpec",
    "EvaluationWork",
    "LocalResult",
    "LocalSgd",
    "LocalSteps",
    "LocalWork",
    "Program",
    "Prune",
    "SampleSelection",
    "Train",
    "TrainMask",
    "TrainPruned",
]
