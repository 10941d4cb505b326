"""Local training as data: a client's round is a tuple of phases that every executor interprets."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from training.arrays import Mask, Vector
from training.engine.optimizer import Moments, Optimizer, Schedule
from training.structure.layout import Part
from training.structure.submodel import SubModel
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams

if TYPE_CHECKING:  # torch takes a second
    from training.sparsity.prox import Prox


@dataclass(frozen=True, kw_only=True)
class Train:
    """Training of one part of the model with the other part fixed: [WFL] eq. (8), (10).

    In every step g = gradient of the mini-batch loss + `proximal` (w - w_start) with the weights at
    the phase's start; g is masked, scaled to a norm of at most `clip_norm` over the trained part,
    and the work's correction is added. Then b <- `momentum` b + g + `weight_decay` w,
    w <- w - `learning_rate` b, as in torch.optim.SGD; `optimizer` replaces the step by one of Adam
    or AdamW, and `schedule` multiplies the learning rates by the round's factor. The momentum b
    starts at 0 in every phase unless the optimiser keeps it. Masked weights, their momentum and
    their part of g are exactly 0.

    Steps take full batches only (of all samples where there are fewer than a batch) and shuffle
    anew when too few are left; an epoch visits every sample once and its last batch may be smaller.
    A model with batch norm skips a last batch of one sample, which has no variance.

    Attributes:
        part: The trained part. With "all" both parts move by the same gradient (FedSim).
        learning_rate: Step size eta.
        stream: Random stream of the mini-batches.
        steps: Number of steps; exactly one of `steps` and `epochs` is given.
        epochs: Number of passes over the client's samples.
        personal_learning_rate: Step size of the personal part with part "all"; `learning_rate`
            if None.
        momentum: Heavy-ball factor.
        weight_decay: Factor of w in the step.
        clip_norm: Largest Euclidean norm of g; no limit if None.
        proximal: Factor mu of the proximal term.
        feature_penalty: Factor lambda of the batch mean of |f|_2 in the objective, f being the
            inputs of the model's last layer. The reported loss excludes it, as it excludes the
            proximal term.
        sum_gradients: Whether the loss gradients along the way, including those of masked weights,
            are summed in `LocalResult.sums["gradient"]`.
        prox: Operator applied to the trained part after every step with the phase's learning rate:
            [SPS] Algorithm 1, line 7.
        optimizer: Optimiser of the steps.
        schedule: Factor of the learning rates by round.
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
    prox: "Prox | None" = None
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        _check_length(self)


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Pruning of the shared part by the importance I = |u' - u| of trial steps: [WFL] eq. (6), (9).

    u' is discarded. With pruning ratio 0 every weight is kept and the trial steps are omitted,
    as nothing else depends on them.

    Attributes:
        steps: Number of trial steps.
        learning_rate: Step size of the trial steps.
        stream: Random stream of their mini-batches.
    """

    steps: int
    learning_rate: float
    stream: str


@dataclass(frozen=True, kw_only=True)
class Accumulate:
    """Sums of the gradient g and of g^2 over mini-batches with the model fixed.

    They are the input of importance scores: `LocalResult.sums["gradient"]` and
    `["squared_gradient"]`, (parameter_size,) each, of `LocalResult.batches` mini-batches. A mask
    zeroes weights but not gradients: a pruned weight has a gradient by which it can grow again.
    Batches as for `Train`.

    Attributes:
        stream: Random stream of the mini-batches.
        part: The part whose gradients are summed.
        steps: Number of mini-batches; exactly one of `steps` and `epochs` is given.
        epochs: Number of passes over the client's samples.
    """

    stream: str
    part: Part = "all"
    steps: int | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        _check_length(self)


@dataclass(frozen=True, kw_only=True)
class TrainMask:
    """Straight-through training of scores z that choose a mask of the fixed weights w.

    This is [MCE-PL] M-1. Per layer y = z + mean|z| sign(z) M ([MCE-PL] eq. (11)) with M the
    mean mask of the neighbours, m = the n - floor((1 - keep) n) largest |y| ([MCE-PL] eq. (3)),
    without every output filter with at most `filter_threshold` ones (Fil). A step takes the
    gradient of the loss at v = w m and passes it on: G = dL/dv w sign(z) + `group_lasso` z /
    |z_filter| ([MCE-PL] eq. (4)-(9), (15)), z <- z - `learning_rate` (G + `weight_decay` z)
    ([MCE-PL] eq. (14)). Tensors of one axis have no mask and stay fixed.

    The result has z as `scores`, the mask of the last y ([MCE-PL] eq. (16)), and the last G as
    `sums["score_gradient"]`, which [MCE-PL] eq. (17) uses again after the exchange of masks.

    Attributes:
        keep: Kept fraction of each tensor of weights (two axes or more), in the layout's order.
        learning_rate: Step size of the scores.
        stream: Random stream of the mini-batches.
        steps: Number of steps; exactly one of `steps` and `epochs` is given.
        epochs: Number of passes over the client's samples.
        weight_decay: Factor of z in the step.
        group_lasso: Factor of the sum of the norms of filters.
        filter_threshold: Largest number of ones with which a filter is removed.
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
    """Training of dense weights w that are pruned in every forward pass: [MCE-PL] M-3.

    A step takes the gradient of the loss at v = w m, m the largest |w| of each layer as in
    `TrainMask`, and applies it to all weights, w <- w - `learning_rate` (g + `weight_decay` w): a
    pruned weight can return. The result has w as `vector` and the last m as `mask`; the model is
    v = w m.

    Attributes:
        keep: Kept fraction of each tensor of weights (two axes or more), in the layout's order.
        learning_rate: Step size of the weights.
        stream: Random stream of the mini-batches.
        steps: Number of steps; exactly one of `steps` and `epochs` is given.
        epochs: Number of passes over the client's samples.
        weight_decay: Factor of w in the step.
        filter_threshold: Largest number of ones with which a filter is removed.
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
    """One client's local training in one round.

    Sizes are those of the trained network: of the compact one where `sub` is given, whose values
    `Structure.flat_indices` finds in the whole model.

    Attributes:
        client: Number of the client, from 0.
        vector: Flat weights and buffers at the start, (size,).
        program: The phases, in order.
        pruning_ratio: Fraction of the shared weights that a `Prune` removes, within [0, 1].
        streams: Random streams of the round.
        mask: Weights that are kept from the start, of the shared part (N_u,) or of all weights
            (parameter_size,); all if None.
        correction: Added to every gradient of `Train`, (size,), for control variates (c - c_i of
            Scaffold, -h_i of ProxSkip); none if None.
        sub: Channels of the compact network that is trained in place of the whole one.
        scores: Scores z of `TrainMask`, (parameter_size,).
        neighbour_mask: Mean mask M of the neighbours for `TrainMask`, (parameter_size,).
        moments: State of an optimiser that keeps it; 0 if None.
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
    moments: Moments | None = None

    def __post_init__(self) -> None:
        if self.mask is not None and prunes(self.program):
            raise InputError("a program that prunes takes no mask")
        if self.scores is None and any(isinstance(phase, TrainMask) for phase in self.program):
            raise InputError("a program that trains a mask needs scores")


@dataclass(frozen=True, kw_only=True, eq=False)
class LocalResult:
    """Result of a client's local training; sizes are those of the trained network.

    Attributes:
        vector: Flat weights and buffers, (size,).
        mask: Values that the client can upload, (upload_size,): the kept weights of the shared
            part, followed by the shared buffers. A model without buffers has upload_size = N_u.
        loss: Mean mini-batch loss of the last phase that trains; None for a program without steps.
        steps: Steps of the phases that train.
        batches: Mini-batches in `sums`.
        sums: Sums over mini-batches by name, (parameter_size,) each.
        scores: Trained scores z, (parameter_size,); None unless the program trains a mask.
        moments: State of the optimiser; None unless the program keeps it.
    """

    vector: Vector
    mask: Mask
    loss: float | None
    steps: int = 0
    batches: int = 0
    sums: Mapping[str, Vector] = field(default_factory=dict)
    scores: Vector | None = None
    moments: Moments | None = None


@dataclass(frozen=True, kw_only=True)
class SampleSelection:
    """A fixed random subset of a client's samples.

    Attributes:
        of: The client's training or test samples.
        count: Largest number of samples.
        seed: Seed of the draw: the same seed selects the same samples.
    """

    of: Literal["train", "test"]
    count: int
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationWork:
    """Evaluation of one model on one client's samples.

    Attributes:
        client: Number of the client, from 0.
        vector: Flat weights and buffers of the model, (size,).
        sample: Samples to evaluate on; all test samples of the client if None.
    """

    client: int
    vector: Vector
    sample: SampleSelection | None = None


def epoch_batches(samples: int, batch_size: int, smallest: int = 1) -> list[int]:
    """Sizes of the mini-batches of one epoch.

    Args:
        samples: Number of samples.
        batch_size: Samples of a full mini-batch.
        smallest: Smallest last mini-batch that is used.

    Returns:
        One size for each mini-batch; the last one is smaller where the samples do not fill it.

    Example:
        >>> epoch_batches(40, 16)
        [16, 16, 8]
    """
    whole, rest = divmod(samples, batch_size)
    return [batch_size] * whole + ([rest] if rest >= smallest else [])


def personal_only(program: Program) -> Program:
    """The personal steps of a program, for a client that is not scheduled (pruning ratio 1).

    Args:
        program: The program of a client that takes part.

    Returns:
        The phases on the personal part; those on all of the model are restricted to it.
    """
    kept: list[Phase] = []
    for phase in program:
        if isinstance(phase, Train) and phase.part == "personal":
            kept.append(phase)
        elif isinstance(phase, Train) and phase.part == "all":
            kept.append(replace(phase, part="personal", learning_rate=personal_rate(phase)))
    return tuple(kept)


def shared_only(program: Program) -> Program:
    """A program for a model without a personal part.

    Args:
        program: A program on a personal and a shared part.

    Returns:
        The phases without those on the personal part; those on all of the model train the shared
        part, which is all of it.
    """
    kept: list[Phase] = []
    for phase in program:
        if isinstance(phase, Train) and phase.part == "all":
            kept.append(replace(phase, part="shared", personal_learning_rate=None))
        elif not isinstance(phase, Train) or phase.part != "personal":
            kept.append(phase)
    return tuple(kept)


def personal_rate(phase: Train) -> float:
    """The learning rate of the personal part.

    Args:
        phase: A phase on all of the model.

    Returns:
        `personal_learning_rate`, or `learning_rate` where it is not given.
    """
    return (
        phase.learning_rate
        if phase.personal_learning_rate is None
        else phase.personal_learning_rate
    )


def prunes(program: Program) -> bool:
    """Test if a program has a phase `Prune`.

    Args:
        program: The phases of a client.

    Returns:
        True if the program can prune.
    """
    return any(isinstance(phase, Prune) for phase in program)


def kept_optimizer(program: Program) -> Optimizer | None:
    """The optimiser whose state a program keeps between rounds.

    Args:
        program: The phases of a client.

    Returns:
        The optimiser of the first phase that keeps its state; None where no phase does.
    """
    phases = (phase for phase in program if isinstance(phase, Train) and phase.optimizer.keeps)
    return next((phase.optimizer for phase in phases), None)


def in_epochs(program: Program) -> bool:
    """Test if the length of a program depends on the number of a client's samples.

    Args:
        program: The phases of a client.

    Returns:
        True if any phase is given in epochs.
    """
    return any(not isinstance(phase, Prune) and phase.epochs is not None for phase in program)


def _check_length(phase: Train | Accumulate | TrainMask | TrainPruned) -> None:
    if (phase.steps is None) == (phase.epochs is None):
        raise InputError(f"a phase {type(phase).__name__} needs either steps or epochs")
