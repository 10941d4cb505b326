"""What algorithms with a sparse model share: how many weights stay, who chooses, and what their
places cost.
"""

from dataclasses import dataclass
from typing import Literal

from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import (
    PAYLOADS,
    ControlVariateMethod,
    Payload,
    UpdateRules,
    check_sparsity,
)
from training.task import Task
from wirelessfl.errors import check_choice


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """A model of which K = floor((1 - `sparsity`) d) weights stay; `payload` says how sparse
    vectors are counted.

    `values` alone (as the tables of [SPS]), `values+index`, or a `bitmap`: see `sparse_bits`.
    """

    sparsity: float = 0.9
    payload: Payload = "values"

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        check_choice("training.payload", self.payload, PAYLOADS)

    def method(
        self, task: Task, descent: LocalDescent, pieces: UpdateRules
    ) -> ControlVariateMethod:
        """A method of these `pieces`."""
        return ControlVariateMethod(
            task=task, descent=descent, pieces=pieces, sparsity=self.sparsity, payload=self.payload
        )


@dataclass(frozen=True, kw_only=True)
class SparseUpload:
    """Uploads of K = floor((1 - `sparsity`) d) weights, as many as the model that is evaluated
    keeps.

    With `sparsity_from = "allocation"` client i sends floor((1 - pruning_ratio_i) d) by the round's
    allocation: its bits shrink with the ratio, its local steps do not; `sparsity` is still that of
    the model that is evaluated. `payload` as for `Sparse`.
    """

    sparsity: float = 0.9
    sparsity_from: Literal["given", "allocation"] = "given"
    payload: Payload = "values"

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        check_choice("training.sparsity_from", self.sparsity_from, ("given", "allocation"))
        check_choice("training.payload", self.payload, PAYLOADS)

    def method(
        self, task: Task, descent: LocalDescent, pieces: UpdateRules
    ) -> ControlVariateMethod:
        """A method of these `pieces`."""
        return ControlVariateMethod(
            task=task,
            descent=descent,
            pieces=pieces,
            sparsity=self.sparsity,
            payload=self.payload,
            allocated=self.sparsity_from == "allocation",
        )
