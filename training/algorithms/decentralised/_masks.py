"""What algorithms that learn masks share: the checks of their fields, and the method that these
stand for.
"""

from typing import Any

from training.decentralised.initialisation import WEIGHT_INITS
from training.decentralised.mask_learning import MaskLearning
from training.decentralised.retention import Retention
from training.engine.local_sgd import check_descent
from training.engine.program import TrainMask
from wirelessfl.errors import check_choice, check_number


def check_masks(algorithm: Any) -> None:
    """The fields of local training of a mask as `ind-mask` has them."""
    check_descent(algorithm)
    check_number("training.group_lasso", algorithm.group_lasso, at_least=0)
    check_choice("training.weight_init", algorithm.weight_init, WEIGHT_INITS)


def mask_learning(algorithm: Any, **exchange: Any) -> MaskLearning:
    """The method of the fields checked by `check_masks`, without an exchange of masks unless its
    fields are given.
    """
    keep: Retention = algorithm.keep
    train = TrainMask(
        keep=(),
        steps=algorithm.local_steps if algorithm.local_epochs is None else None,
        epochs=algorithm.local_epochs,
        learning_rate=algorithm.learning_rate,
        weight_decay=algorithm.weight_decay,
        group_lasso=algorithm.group_lasso,
        filter_threshold=keep.filter_threshold,
        stream="batches/shared",
    )
    without = {
        "exchange": False,
        "fine_tune_rate": 0.0,
        "payload": "entry",
        "initial_neighbour_keep": 0.0,
        "initial_neighbour_fc_keep": 0.0,
    }
    return MaskLearning(
        task=algorithm.task,
        graph=algorithm.graph,
        train=train,
        keep=keep,
        weight_init=algorithm.weight_init,
        **{**without, **exchange},
    )
