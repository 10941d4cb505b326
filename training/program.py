"""Local training as data: what a client does in a round is a tuple of phases that every executor interprets."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wirelessfl.rng import Streams

Part = Literal["personal", "shared", "all"]
Vector = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Train:
    """`steps` steps of plain SGD on one part of the model, the other part fixed: eq. (8), (10) of [WFL].

    A mask set by an earlier `Prune` holds. With part "all" both parts move by the same gradient evaluation (FedSim),
    the personal one with `personal_learning_rate`. Mini-batches come from the random stream `stream`.
    """

    part: Part
    steps: int
    learning_rate: float
    stream: str
    personal_learning_rate: float | None = None


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Prune the shared part by the importance I = |u' - u| of `steps` trial steps: eq. (6), (9) of [WFL].

    u' is thrown away. With pruning ratio 0 every weight is kept and, as nothing else depends on them, the trial
    steps are left out.
    """

    steps: int
    learning_rate: float
    stream: str


Program = tuple[Train | Prune, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalWork:
    """One client's task in one round: `program` on the flat start vector, shape (size,)."""

    client: int
    vector: Vector
    program: Program
    pruning_ratio: float
    streams: Streams


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalResult:
    """What a client ends with: its flat vector (size,), the mask of its shared part (N_u,), its training loss.

    `loss` is the mean mini-batch loss over the last `Train` phase, None when the program has no step.
    """

    vector: Vector
    mask: Mask
    loss: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationWork:
    """Accuracy of the model `vector` (size,) on one client's test samples."""

    client: int
    vector: Vector


def personal_only(program: Program) -> Program:
    """What is left of `program` for a client that gets no share in the round (pruning ratio 1): its personal steps."""
    kept: list[Train | Prune] = []
    for phase in program:
        if isinstance(phase, Train) and phase.part == "personal":
            kept.append(phase)
        elif isinstance(phase, Train) and phase.part == "all":
            kept.append(replace(phase, part="personal", learning_rate=personal_rate(phase)))
    return tuple(kept)


def personal_rate(phase: Train) -> float:
    """The learning rate of the personal part in `phase`."""
    return phase.learning_rate if phase.personal_learning_rate is None else phase.personal_learning_rate


def prunes(program: Program) -> bool:
    """Whether `program` can prune at all."""
    return any(isinstance(phase, Prune) for phase in program)


def updates(program: Program, personal_size: int, shared_size: int) -> tuple[float, float]:
    """(fixed, prunable) weight updates of one client: personal and importance steps never shrink with the ratio."""
    fixed, prunable = 0.0, 0.0
    for phase in program:
        if isinstance(phase, Prune):
            fixed += phase.steps * shared_size
            continue
        fixed += phase.steps * personal_size if phase.part != "shared" else 0
        prunable += phase.steps * shared_size if phase.part != "personal" else 0
    return fixed, prunable
