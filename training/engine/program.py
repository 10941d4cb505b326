"""Local training as data: what a client does in a round is a tuple of phases that every executor
interprets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from training.arrays import Mask, Vector
from training.sparsity.prox import Prox
from training.structure.layout import Part
from training.structure.submodel import SubModel
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams


@dataclass(frozen=True, kw_only=True)
class Train:
    """SGD on one part of the model, the other part fixed: [WFL] eq. (8), (10), for `steps` or
    for `epochs`.

    In every step g = gradient of the mini-batch loss + `proximal` (w - w_start) with the weights at
    the phase's start; g is masked, scaled to a norm of at most `clip_norm` over what is trained,
    and the work's correction is added. Then b <- `momentum` b + g + `weight_decay` w, w <- w -
    `learning_rate` b, as torch.optim.SGD. The momentum b starts at 0 in every phase. Masked
    weights, their momentum and their part of g are exactly 0.

    With part "all" both parts move by the same gradient (FedSim), the personal one with
    `personal_learning_rate`. A `feature_penalty` lambda adds lambda times the batch mean of |f|_2
    to what is differentiated, f being the features that the model's last layer reads; the loss that
    comes back is without it, as it is without the proximal term. With `sum_gradients` the loss
    gradients along the way, also those of masked weights, add up to `LocalResult.sums["gradient"]`.
    A `prox` is applied to what is trained after every step ([SPS] Algorithm 1, line 7), with
    the phase's learning rate.

    Mini-batches come from the random stream `stream`. Steps take full batches only (of all samples
    where there are fewer than a batch) and shuffle anew when too few are left; an epoch visits
    every sample once and its last batch may be smaller. Of a model with BatchNorm a last batch of
    one sample is left out, which has no variance.
    """

    part: Part
    learning_rate: float
    stream: str
    steps: int | None = None
    epochs: int | None = None
    personal_learning_rate: float | None = None
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    proximal: float = 0.0
    feature_penalty: float = 0.0
    sum_gradients: bool = False
    prox: Prox | None = None

    def __post_init__(self) -> None:
        _check_length(self)


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Prune the shared part by the importance I = |u' - u| of `steps` trial steps: [WFL] eq. (6),
    (9).

    u' is thrown away. With pruning ratio 0 every weight is kept and, as nothing else depends on
    them, the trial steps are left out.
    """

    steps: int
    learning_rate: float
    stream: str


@dataclass(frozen=True, kw_only=True)
class Accumulate:
    """Sums over mini-batches of the gradient g and of g^2, with the model fixed: the raw material
    of importance scores.

    They become `LocalResult.sums["gradient"]` and `["squared_gradient"]`, (parameter_size,) each,
    of `LocalResult.batches` mini-batches. A mask zeroes weights but no gradients: also what is
    pruned has a gradient, by which it can grow again. Only the gradients of `part` are taken.
    Batches as for `Train`.
    """

    stream: str
    part: Part = "all"
    steps: int | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        _check_length(self)


@dataclass(frozen=True, kw_only=True)
class TrainMask:
    """Straight-through training of real scores z that choose a mask of the fixed weights w:
    [MCE-PL] M-1.

    Per layer y = z + mean|z| sign(z) M ([MCE-PL] eq. (11)) with M the mean mask of the neighbours,
    m = the n - floor((1 - keep) n) largest |y| ([MCE-PL] eq. (3)), less every output filter with at
    most `filter_threshold` ones (Fil). A step takes the gradient of the loss at v = w m and hands
    it through: G = dL/dv w sign(z) + `group_lasso` z / |z_filter| ([MCE-PL] eq. (4)-(9), (15)), z
    <- z - `learning_rate` (G + `weight_decay` z) ([MCE-PL] eq. (14)). `keep` has one share for each
    tensor of weights (of two axes or more) in the layout's order; other tensors have no mask and
    stay. The result has z as `scores`, the mask of the last y ([MCE-PL] eq. (16)), and the last G
    as `sums["score_gradient"]`, which ([MCE-PL] eq. (17)) uses again after the exchange of masks.
    """

    keep: tuple[float, ...]
    learning_rate: float
    stream: str
    steps: int | None = None
    epochs: int | None = None
    weight_decay: float = 0.0
    group_lasso: float = 0.0
    filter_threshold: int = 0

    def __post_init__(self) -> None:
        _check_length(self)


@dataclass(frozen=True, kw_only=True)
class TrainPruned:
    """Training of weights w that are pruned in every forward pass and stay dense themselves:
    [MCE-PL] M-3.

    A step takes the gradient of the loss at v = w m, m the largest |w| of each layer as in
    `TrainMask`, and hands it to all weights, w <- w - `learning_rate` (g + `weight_decay` w): what
    is pruned can come back. The result has w as `vector` and the last m as `mask`; v = w m is the
    model that counts.
    """

    keep: tuple[float, ...]
    learning_rate: float
    stream: str
    steps: int | None = None
    epochs: int | None = None
    weight_decay: float = 0.0
    filter_threshold: int = 0

    def __post_init__(self) -> None:
        _check_length(self)


Phase = Train | Prune | Accumulate | TrainMask | TrainPruned
Program = tuple[Phase, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalWork:
    """One client's task in one round: `program` on the flat start vector, shape (size,).

    `mask`: what is kept from the start, of the shared part (N_u,) or of all weights
    (parameter_size,). `correction` (size,) is added to every gradient of `Train`, as control
    variates are (c - c_i of Scaffold, -h_i of ProxSkip). `sub` trains the compact network of these
    channels in place of the whole one. `scores` z and `neighbour_mask` M, (parameter_size,) each,
    belong to `TrainMask`.
    """

    client: int
    vector: Vector
    program: Program
    pruning_ratio: float
    streams: Streams
    mask: Mask | None = None
    correction: Vector | None = None
    sub: SubModel | None = None
    scores: Vector | None = None
    neighbour_mask: Vector | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and prunes(self.program):
            raise InputError("a program that prunes takes no mask")
        if self.scores is None and any(isinstance(phase, TrainMask) for phase in self.program):
            raise InputError("a program that trains a mask needs scores")


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalResult:
    """What a client ends with: its flat vector (size,), the mask of what it can upload
    (upload_size,), its loss.

    `mask` says which weights of the shared part the client holds, and behind them which shared
    buffers; a model without buffers has upload_size = N_u. What a sub-model does not hold is False
    and unchanged in `vector`. `loss` is the mean mini-batch loss over the last phase that trains,
    None when the program has no step. `steps` counts the steps of these phases, `batches` the
    mini-batches in `sums`.
    """

    vector: Vector
    mask: Mask
    loss: float | None
    steps: int = 0
    batches: int = 0
    sums: Mapping[str, Vector] = field(default_factory=dict)
    scores: Vector | None = None


@dataclass(frozen=True, kw_only=True)
class Sample:
    """At most `count` of a client's samples to train or to test on, the same ones for the same
    `seed`.
    """

    of: Literal["train", "test"]
    count: int
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationWork:
    """Accuracy of the model `vector` (size,) on one client's test samples, or on a `sample` of its
    data.
    """

    client: int
    vector: Vector
    sample: Sample | None = None


def epoch_batches(samples: int, batch_size: int, smallest: int = 1) -> list[int]:
    """Sizes of the mini-batches of one epoch; a last one below `smallest` is left out."""
    whole, rest = divmod(samples, batch_size)
    return [batch_size] * whole + ([rest] if rest >= smallest else [])


def personal_only(program: Program) -> Program:
    """What is left of `program` for a client that gets no share in the round (pruning ratio 1): its
    personal steps.
    """
    kept: list[Phase] = []
    for phase in program:
        if isinstance(phase, Train) and phase.part == "personal":
            kept.append(phase)
        elif isinstance(phase, Train) and phase.part == "all":
            kept.append(replace(phase, part="personal", learning_rate=personal_rate(phase)))
    return tuple(kept)


def personal_rate(phase: Train) -> float:
    """The learning rate of the personal part in `phase`."""
    return (
        phase.learning_rate
        if phase.personal_learning_rate is None
        else phase.personal_learning_rate
    )


def prunes(program: Program) -> bool:
    """Whether `program` can prune at all."""
    return any(isinstance(phase, Prune) for phase in program)


def in_epochs(program: Program) -> bool:
    """Whether a phase of `program` is as long as a client's samples say."""
    return any(not isinstance(phase, Prune) and phase.epochs is not None for phase in program)


def _check_length(phase: Train | Accumulate | TrainMask | TrainPruned) -> None:
    if (phase.steps is None) == (phase.epochs is None):
        raise InputError(f"a phase {type(phase).__name__} needs either steps or epochs")
