"""Local SGD as fields that algorithms inherit: defaults, checks, and the phase they describe."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from training.engine.optimizer import Optimizer, Schedule
from training.engine.program import Train
from wirelessfl.errors import InputError, check_count, check_number
from wirelessfl.text import in_full

MOST_RATE = float(np.finfo(np.float32).max)  # weights are float32: a larger step overflows


@dataclass(frozen=True, kw_only=True)
class LocalSteps:
    """Fields of every algorithm with local steps: learning rate and length of the local training.

    An algorithm inherits them, gives other defaults by declaring a field again, and calls
    `super().__post_init__()` where it has checks of its own.

    Attributes:
        learning_rate: Step size eta, above 0.
        local_steps: Mini-batch steps in a round, at least 0.
        local_epochs: Passes over a client's samples in a round, at least 1; takes the place of
            `local_steps` unless None.
    """

    learning_rate: float = 0.01
    local_steps: int = 5
    local_epochs: int | None = None

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)
        check_count("training.local_steps", self.local_steps, at_least=0)
        if self.local_epochs is not None:
            check_count("training.local_epochs", self.local_epochs)

    @property
    def phase_steps(self) -> int | None:
        """`local_steps`, or None where the length is given in `local_epochs`."""
        return self.local_steps if self.local_epochs is None else None


@dataclass(frozen=True, kw_only=True)
class LocalSgd(LocalSteps):
    """Fields of local SGD on the whole model: those of `LocalSteps` and of the optimiser.

    Attributes:
        optimizer: Optimiser of the steps.
        schedule: Learning rate by round.
        momentum: Heavy-ball factor of SGD within [0, 1].
        weight_decay: Factor of w that is added to every gradient, at least 0.
        clip_norm: Largest Euclidean norm of a gradient, above 0; no limit if None.

    Example:
        >>> LocalSgd(local_epochs=2, momentum=0.9).phase().epochs
        2
    """

    carries_state: ClassVar[bool] = False  # of the clients' optimisers, from round to round

    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sgd(self.momentum, self.weight_decay)
        check_optimizer(self.optimizer, self.momentum)
        if self.optimizer.keeps and not self.carries_state:
            raise InputError(
                "training.optimizer_state must be 'reset' in an algorithm that carries no state of "
                "the clients' optimisers from round to round, got 'keep'"
            )
        if self.clip_norm is not None:
            check_number("training.clip_norm", self.clip_norm, above=0)

    def phase(
        self,
        *,
        proximal: float = 0.0,
        feature_penalty: float = 0.0,
        sum_gradients: bool = False,
    ) -> Train:
        """The local training as a phase on the whole model.

        Args:
            proximal: Factor mu of the proximal term, see `Train`.
            feature_penalty: Factor of the feature norm, see `Train`.
            sum_gradients: Whether the gradients are summed along the way, see `Train`.

        Returns:
            A phase `Train` on the shared part, which is all of a model that is not personalised.
        """
        return Train(
            part="shared",
            steps=self.phase_steps,
            epochs=self.local_epochs,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            stream="batches/shared",
            proximal=proximal,
            feature_penalty=feature_penalty,
            sum_gradients=sum_gradients,
            optimizer=self.optimizer,
            schedule=self.schedule,
        )


def check_sgd(momentum: float, weight_decay: float) -> None:
    """Check the settings of SGD.

    Args:
        momentum: Heavy-ball factor.
        weight_decay: Factor of w that is added to every gradient.

    Raises:
        InputError: The momentum is not within [0, 1], or the weight decay is below 0.
    """
    check_number("training.weight_decay", weight_decay, at_least=0)
    check_number("training.momentum", momentum, at_least=0, at_most=1)


def check_optimizer(optimizer: Optimizer, momentum: float) -> None:
    """Check that an optimiser and the momentum of SGD fit each other.

    Args:
        optimizer: The optimiser.
        momentum: Heavy-ball factor of SGD.

    Raises:
        InputError: Adam has a momentum.
    """
    if optimizer.adaptive and momentum:
        raise InputError(
            f"training.momentum must be 0 with training.optimizer {optimizer.optimizer!r}, "
            f"got {in_full(momentum)}"
        )


def check_rate(name: str, rate: float | None) -> None:
    """Check a learning rate.

    Args:
        name: Name of the field. A `personal_learning_rate` may be None (not given) or 0 (the
            personal part stays fixed).
        rate: The learning rate.

    Raises:
        InputError: The rate is not above 0 or exceeds the range of float32.
    """
    if name == "personal_learning_rate":
        if rate is not None:
            check_number(f"training.{name}", rate, at_least=0, at_most=MOST_RATE)
    else:
        check_number(f"training.{name}", rate, above=0, at_most=MOST_RATE)
