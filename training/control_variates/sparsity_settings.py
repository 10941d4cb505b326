"""Common fields of algorithms with a sparse model: sparsity, its source, encoding of indices."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from training.control_variates.local_descent import LocalDescent
from training.control_variates.method import (
    ControlVariateMethod,
    UpdateRules,
    check_sparsity,
)
from training.sparsity.payload import SparseEncoding
from training.task import Task
from wirelessfl.errors import check_choice

SparsitySource = Literal["given", "allocation"]


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """A model of which K = floor((1 - `sparsity`) d) weights are kept.

    Attributes:
        sparsity: Fraction of the weights that are pruned, in [0, 1).
        payload: Encoding of sparse vectors, see `sparse_bits`.
    """

    sparsity: float = 0.9
    payload: SparseEncoding = "values"

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        check_choice("training.payload", self.payload, get_args(SparseEncoding))

    def method(self, task: Task, descent: LocalDescent, rules: UpdateRules) -> ControlVariateMethod:
        """A method with this sparsity.

        Args:
            task: Data set, partition and model.
            descent: Local steps between two communications.
            rules: Lines of the meta-algorithm.

        Returns:
            The algorithm as data.
        """
        return ControlVariateMethod(
            task=task, descent=descent, rules=rules, sparsity=self.sparsity, payload=self.payload
        )


@dataclass(frozen=True, kw_only=True)
class SparseUpload(Sparse):
    """Uploads of K = floor((1 - `sparsity`) d) weights, as many as the evaluated model keeps.

    With `sparsity_from = "allocation"` client i sends floor((1 - pruning_ratio_i) d) weights by the
    allocation of the round: its bits shrink with the ratio, its local steps do not; `sparsity`
    remains that of the evaluated model.

    Attributes:
        sparsity_from: Source of the sparsity of the uploads.
    """

    sparsity_from: SparsitySource = "given"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("training.sparsity_from", self.sparsity_from, get_args(SparsitySource))

    def method(self, task: Task, descent: LocalDescent, rules: UpdateRules) -> ControlVariateMethod:
        """A method with this sparsity of uploads, see `Sparse.method`."""
        return replace(
            super().method(task, descent, rules), allocated=self.sparsity_from == "allocation"
        )
