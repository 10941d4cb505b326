"""How clients descend between two communications: step size, the coin that says when to talk, which
gradients.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

from training.engine.program import Program, Train
from training.sparsity.prox import Prox
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.rng import Streams

Coin = Literal["random", "fixed"]
COINS = ("random", "fixed")
GRADIENTS = ("minibatch", "full")


@dataclass(frozen=True, kw_only=True)
class LocalDescent:
    """Local steps w <- w - gamma (g_i(w) - h_i), gamma = `learning_rate`:
    [SPS] Algorithm 1, line 6.

    After a step the clients communicate with `probability` p, all or none. A *round* goes from one
    communication to the next: its number of steps is drawn once for all clients from the stream
    `coin` of (seed, round), geometric with mean 1/p (`random`), or is always round(1/p), at least 1
    (`fixed`). So methods with the same seed take the same steps.

    Gradients are those of a mini-batch (`minibatch`: any model; g + `weight_decay` w with g of a
    norm of at most `clip_norm`, no momentum), or those of all samples of a client (`full`: models
    `linear` and `logistic`, in float64), where a linear model's clients have f_i = 1/2 |A_i w -
    b_i|^2 + `ridge` / (2 N) |w|^2, and a logistic model's the pooled mean cross-entropy's share of
    a client plus `l2` / 2 |w|^2.
    """

    learning_rate: float = 0.01
    probability: float = 0.1
    coin: Coin = "random"
    gradients: Literal["minibatch", "full"] = "minibatch"
    weight_decay: float = 0.0
    clip_norm: float | None = None
    ridge: float = 500.0
    l2: float = 1e-3

    def __post_init__(self) -> None:
        check_number("training.learning_rate", self.learning_rate, above=0, at_most=1e38)
        check_probability(self.probability)
        check_choice("training.coin", self.coin, COINS)
        check_choice("training.gradients", self.gradients, GRADIENTS)
        for name in ("weight_decay", "ridge", "l2"):
            check_number(f"training.{name}", getattr(self, name), at_least=0)
        if self.clip_norm is not None:
            check_number("training.clip_norm", self.clip_norm, above=0)
        if self.gradients == "full":
            for name, unused in (
                ("weight_decay", self.weight_decay),
                ("clip_norm", self.clip_norm),
            ):
                if unused:
                    raise InputError(
                        f"training.{name} must be left out with training.gradients 'full', got {unused:g}"
                    )

    @property
    def expected_steps(self) -> float:
        """Mean number of steps of a round."""
        return 1.0 / self.probability if self.coin == "random" else float(self.steps(Streams(0)))

    def steps(self, streams: Streams) -> int:
        """The number of local steps of the round of `streams`, the same for all clients."""
        return steps_of_round(streams, self.probability, self.coin)

    def program(self, steps: int, prox: Prox | None = None) -> Program:
        """The round as phases for the engine; `prox` is [SPS] Algorithm 1, line 7."""
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
    """`InputError` unless p is within (0, 1]."""
    check_number("training.probability", probability, above=0, at_most=1)


def steps_of_round(streams: Streams, probability: float, coin: Coin = "random") -> int:
    """Local steps until heads comes up: geometric with mean 1/p from (seed, round), or round(1/p)
    where `fixed`.
    """
    if coin == "fixed":
        return max(1, round(1.0 / probability))
    return int(streams.generator("coin").geometric(probability))


def rounds_within(seed: int, probability: float, steps: int, coin: Coin = "random") -> int:
    """The number of whole rounds that a budget of local `steps` has room for, by the coin of
    `seed`.
    """
    check_probability(probability)

    def lengths() -> Iterator[int]:
        return (steps_of_round(Streams(seed, round), probability, coin) for round in count())

    left = steps
    for done, length in enumerate(lengths()):
        left -= length
        if left < 0:
            return done
    raise AssertionError("a coin comes up for ever")
