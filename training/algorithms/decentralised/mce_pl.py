"""MCE-PL: personalised learning of binary masks that neighbours exchange ([MCE-PL])."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from training.algorithms.decentralised._mask_learning import MaskLearningBased
from training.decentralised.mask_learning import MaskLearning
from training.engine.local_sgd import MOST_RATE
from wirelessfl.errors import check_choice, check_number

MaskPayload = Literal["entry", "ones", "entropy"]


@dataclass(frozen=True, kw_only=True)
class McePl(MaskLearningBased):
    """Masks of common, constant random weights w, learnt with the masks of the neighbours.

    Tian, Zhang, Li, Bennis, "Communication-efficient personalized distributed learning with data
    and node heterogeneity", IEEE Trans. Cogn. Commun. Netw., 2025, [MCE-PL] Algorithm 1. An agent
    trains scores z by straight-through steps on w m, [MCE-PL] eq. (14)-(15), and sends the mask m
    of y = agg(z, M) under the *old* masks M of its neighbours, [MCE-PL] eq. (16). It receives their
    new masks, takes one more step by the *stored* gradient where neighbours keep weights, z <- z -
    `fine_tune_rate` G M, [MCE-PL] eq. (17), and has the mask of agg(z, M), [MCE-PL] eq. (18)-(19),
    by which it is evaluated. That step has no weight decay.

    w is one array for all agents; z starts with the same values for all, and so do the assumed
    masks of the neighbours, one Bernoulli sample. Idle agents keep their state; their neighbours
    continue with the last mask that they received.

    **Differs:** R(z) of [MCE-PL] eq. (5)-(9), `group_lasso` times the sum of the norms of filters,
    is 0 by default, as in the official code, which has `weight_decay` 5e-4 and rates of 10 instead:
    presets `mce-pl-paper`, `mce-pl-code`.

    Attributes:
        fine_tune_rate: Step size of [MCE-PL] eq. (17), at least 0; the learning rate if None.
        initial_neighbour_keep: Density of the assumed initial masks in convolutions, in [0, 1].
        initial_neighbour_fc_keep: Density of the assumed initial masks in fully connected layers,
            in [0, 1].
        payload: Bits of a mask, see `training.sparsity.payload`.
    """

    fine_tune_rate: float | None = None
    initial_neighbour_keep: float = 0.3
    initial_neighbour_fc_keep: float = 0.9
    payload: MaskPayload = "entry"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fine_tune_rate is not None:
            check_number(
                "training.fine_tune_rate", self.fine_tune_rate, at_least=0, at_most=MOST_RATE
            )
        for name in ("initial_neighbour_keep", "initial_neighbour_fc_keep"):
            check_number(f"training.{name}", getattr(self, name), at_least=0, at_most=1)
        check_choice("training.payload", self.payload, get_args(MaskPayload))

    @property
    def method(self) -> MaskLearning:
        """The algorithm as the behaviour of its agents."""
        rate = self.learning_rate if self.fine_tune_rate is None else self.fine_tune_rate
        return replace(
            super().method,
            exchange=True,
            fine_tune_rate=rate,
            payload=self.payload,
            initial_neighbour_keep=self.initial_neighbour_keep,
            initial_neighbour_fc_keep=self.initial_neighbour_fc_keep,
        )
