"""Optimisers of local training and schedules of their learning rate, as fields and as data."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from training.arrays import Vector
from training.structure.layout import Part
from wirelessfl.errors import check_choice, check_count, check_number

OptimizerName = Literal["sgd", "adam", "adamw"]
OptimizerState = Literal["reset", "keep"]
ScheduleName = Literal["constant", "step", "cosine"]


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """Optimiser of the local steps: SGD, Adam or AdamW, with PyTorch's equations.

    Adam (Kingma, Ba, "Adam: A method for stochastic optimization", ICLR 2015) adds the weight decay
    to the gradient; AdamW (Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019)
    shrinks the weights by learning rate x weight decay in every step.

    Attributes:
        optimizer: Optimiser of the local steps: sgd, adam or adamw.
        adam_beta1: Decay of Adam's mean of gradients in a step, from 0 to below 1.
        adam_beta2: Decay of Adam's mean of squared gradients in a step, from 0 to below 1.
        adam_epsilon: Constant in Adam's divisor, above 0.
        optimizer_state: Momentum or moments at the start of a client's local training: 0 (`reset`),
            or those at the end of its last one (`keep`), which checkpoints hold.
    """

    optimizer: OptimizerName = "sgd"
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    optimizer_state: OptimizerState = "reset"

    def __post_init__(self) -> None:
        check_choice("training.optimizer", self.optimizer, get_args(OptimizerName))
        check_choice("training.optimizer_state", self.optimizer_state, get_args(OptimizerState))
        for name in ("adam_beta1", "adam_beta2"):
            check_number(f"training.{name}", getattr(self, name), at_least=0, at_most=1 - 1e-9)
        check_number("training.adam_epsilon", self.adam_epsilon, above=0)

    @property
    def adaptive(self) -> bool:
        """True for Adam and AdamW."""
        return self.optimizer != "sgd"

    @property
    def keeps(self) -> bool:
        """True if the state of the optimiser is kept between rounds."""
        return self.optimizer_state == "keep"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Learning rate by round: eta_t = `learning_rate` x warm-up(t) x decay(t), t from 0.

    The warm-up is (t + 1) / W in the first W = `warm_up_rounds` rounds, then 1. The decay begins
    after it, with s = max(0, t - W): `step_factor`^floor(s / `step_every`) for `step`, and l + (1 -
    l) (1 + cos(pi min(s, R) / R)) / 2 for `cosine` with R = `cosine_rounds`, l = `cosine_least`.

    Attributes:
        schedule: Decay of the learning rate: constant, step or cosine.
        warm_up_rounds: Rounds in which the learning rate rises to its full value, at least 0.
        step_every: Rounds between two decreases of `step`, at least 1.
        step_factor: Factor of a decrease of `step`, above 0, at most 1.
        cosine_rounds: Rounds after which `cosine` stays at its least value, at least 1.
        cosine_least: Least factor of `cosine`, from 0 to 1.
    """

    schedule: ScheduleName = "constant"
    warm_up_rounds: int = 0
    step_every: int = 30
    step_factor: float = 0.1
    cosine_rounds: int = 100
    cosine_least: float = 0.0

    def __post_init__(self) -> None:
        check_choice("training.schedule", self.schedule, get_args(ScheduleName))
        check_count("training.warm_up_rounds", self.warm_up_rounds, at_least=0)
        for name in ("step_every", "cosine_rounds"):
            check_count(f"training.{name}", getattr(self, name))
        check_number("training.step_factor", self.step_factor, above=0, at_most=1)
        check_number("training.cosine_least", self.cosine_least, at_least=0, at_most=1)

    def factor(self, round_index: int) -> float:
        """Factor of the learning rate in a round.

        Args:
            round_index: Index t of the round, from 0.

        Returns:
            Factor from 0 to 1.

        Example:
            >>> Schedule(schedule="step", step_every=2).factor(3)
            0.1
        """
        if round_index < self.warm_up_rounds:
            return (round_index + 1) / self.warm_up_rounds
        since = round_index - self.warm_up_rounds
        if self.schedule == "step":
            return float(self.step_factor ** (since // self.step_every))
        if self.schedule == "cosine":
            angle = math.pi * min(since, self.cosine_rounds) / self.cosine_rounds
            return self.cosine_least + (1.0 - self.cosine_least) * (1.0 + math.cos(angle)) / 2.0
        return 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Moments:
    """State of an optimiser that is kept between rounds.

    Attributes:
        first: Momentum of SGD or Adam's mean of gradients, (parameter_size,).
        second: Adam's mean of squared gradients, (parameter_size,); None for SGD.
        steps: Steps so far by trained part.
    """

    first: Vector
    second: Vector | None = None
    steps: Mapping[Part, int] = field(default_factory=dict)
