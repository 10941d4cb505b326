"""Local steps between two communications: step size, communication probability, gradients."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal, get_args

from training.engine.program import Program, Train
from training.sparsity.prox import Prox
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.rng import Streams

Coin = Literal["random", "fixed"]
Gradients = Literal["minibatch", "full"]


@dataclass(frozen=True, kw_only=True)
class LocalDescent:
    """Local steps w <- w - gamma (g_i(w) - h_i): [SPS] Algorithm 1, line 6.

    After a step the clients communicate with probability p, all or none. A *round* goes from one
    communication to the next: its number of steps is drawn once for all clients from the stream
    `coin` of (seed, round), geometric with mean 1/p (`random`), or is always round(1/p), at least 1
    (`fixed`). So methods with the same seed take the same steps.

    Gradients are those of a mini-batch (`minibatch`: any model, without momentum), or those of all
    samples of a client (`full`: models `linear` and `logistic`, in float64). With full gradients
    the clients of a linear model have f_i = 1/2 |A_i w - b_i|^2 + `ridge` / (2 N) |w|^2, and those
    of a logistic model have their part of the pooled mean cross-entropy plus `l2` / 2 |w|^2.

    Attributes:
        learning_rate: Step size gamma, above 0.
        probability: Communication probability p, in (0, 1].
        coin: Distribution of the number of steps.
        gradients: Samples of a gradient.
        weight_decay: Factor of w that is added to every mini-batch gradient, at least 0.
        clip_norm: Largest Euclidean norm of a mini-batch gradient, above 0; no limit if None.
        ridge: Coefficient of the regulariser of a linear model, at least 0.
        l2: Coefficient of the regulariser of a logistic model, at least 0.
    """

    learning_rate: float = 0.01
    probability: float = 0.1
    coin: Coin = "random"
    gradients: Gradients = "minibatch"
    weight_decay: float = 0.0
    clip_norm: float | None = None
    ridge: float = 500.0
    l2: float = 1e-3

    def __post_init__(self) -> None:
        check_number("training.learning_rate", self.learning_rate, above=0, at_most=1e38)
        check_probability(self.probability)
        check_choice("training.coin", self.coin, get_args(Coin))
        check_choice("training.gradients", self.gradients, get_args(Gradients))
        for name in ("weight_decay", "ridge", "l2"):
            check_number(f"training.{name}", getattr(self, name), at_least=0)
        if self.clip_norm is not None:
            check_number("training.clip_norm", self.clip_norm, above=0)
        if self.gradients == "full":
            for name in ("weight_decay", "clip_norm"):
                if unused := getattr(self, name):
                    raise InputError(
                        f"training.{name} must be left out with training.gradients 'full', got "
                        f"{unused:g}"
                    )

    @property
    def expected_steps(self) -> float:
        """Mean number of steps of a round."""
        return 1.0 / self.probability if self.coin == "random" else float(self.steps(Streams(0)))

    def steps(self, streams: Streams) -> int:
        """Number of local steps of a round, the same for all clients.

        Args:
            streams: Random streams of the round.

        Returns:
            Steps, at least 1.
        """
        return steps_of_round(streams, self.probability, self.coin)

    def program(self, steps: int, prox: Prox | None = None) -> Program:
        """A round as phases for the engine.

        Args:
            steps: Number of local steps.
            prox: Operator of [SPS] Algorithm 1, line 7, after every step.

        Returns:
            One phase on the whole model.
        """
        phase = Train(
            part="shared",
            steps=steps,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            clip_norm=self.clip_norm,
            stream="batches/shared",
            prox=prox,
        )
        return (phase,)


def check_probability(probability: float) -> None:
    """Check a communication probability.

    Args:
        probability: Probability p.

    Raises:
        InputError: Unless p is in (0, 1].
    """
    check_number("training.probability", probability, above=0, at_most=1)


def steps_of_round(streams: Streams, probability: float, coin: Coin = "random") -> int:
    """Number of local steps of a round.

    Args:
        streams: Random streams of the round.
        probability: Communication probability p, in (0, 1].
        coin: `random`: geometric with mean 1/p; `fixed`: round(1/p), at least 1.

    Returns:
        Steps, at least 1.
    """
    if coin == "fixed":
        return max(1, round(1.0 / probability))
    return int(streams.generator("coin").geometric(probability))


def rounds_within(seed: int, probability: float, steps: int, coin: Coin = "random") -> int:
    """Number of whole rounds within a budget of local steps.

    Args:
        seed: Seed of the run.
        probability: Communication probability p, in (0, 1].
        steps: Budget of local steps, at least 0.
        coin: Distribution of the number of steps of a round.

    Returns:
        Rounds, at least 0.

    Raises:
        InputError: Unless p is in (0, 1].
    """
    check_probability(probability)

    def lengths() -> Iterator[int]:
        return (steps_of_round(Streams(seed, index), probability, coin) for index in count())

    left = steps
    for done, length in enumerate(lengths()):
        left -= length
        if left < 0:
            return done
    raise AssertionError("the sequence of rounds is infinite")
