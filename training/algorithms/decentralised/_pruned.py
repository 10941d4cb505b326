"""What algorithms of pruned weights share: the checks of their fields, and the method that these
stand for.
"""

from typing import Any

from training.decentralised.pruned_weights import Combine, PrunedWeights
from training.engine.local_sgd import check_descent
from training.engine.program import TrainPruned
from wirelessfl.errors import check_choice

PRUNINGS = ("straight-through", "hard")


def check_pruned(algorithm: Any) -> None:
    """The fields of local training of pruned weights as `ind-weipru` has them."""
    check_descent(algorithm)
    check_choice("training.pruning", algorithm.pruning, PRUNINGS)


def check_payload(payload: str) -> None:
    """How the bits of pruned weights are counted."""
    check_choice("training.payload", payload, ("nonzero", "values"))


def pruned_weights(
    algorithm: Any, combine: Combine | None = None, *, payload: str = "nonzero", **more: Any
) -> PrunedWeights:
    """The method of the fields checked by `check_pruned`, of agents alone unless they `combine`
    what they hear.

    `more` are further fields of `PrunedWeights`.
    """
    train = TrainPruned(
        keep=(),
        steps=algorithm.local_steps if algorithm.local_epochs is None else None,
        epochs=algorithm.local_epochs,
        learning_rate=algorithm.learning_rate,
        weight_decay=algorithm.weight_decay,
        filter_threshold=algorithm.keep.filter_threshold,
        stream="batches/shared",
    )
    return PrunedWeights(
        task=algorithm.task,
        graph=algorithm.graph,
        train=train,
        keep=algorithm.keep,
        combine=combine,
        hard=algorithm.pruning == "hard",
        dense_payload=payload == "values",
        **{"count_mask_bits": False, **more},
    )
