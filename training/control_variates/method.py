"""The meta-algorithm of [SPS] as data: local steps with control variates, and pruning rules."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from training.arrays import Floats
from training.control_variates.local_descent import LocalDescent
from training.engine.spec import EngineSpec
from training.sparsity.counts import keep_count
from training.sparsity.payload import BITS_PER_WEIGHT, SparseEncoding, sparse_bits
from training.sparsity.prox import Prox, SoftThreshold, TopK
from training.structure.layout import Layout
from training.task import Task
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.text import in_full
from wirelessfl.values import Array, Demand

ProxRule = Callable[[int], Prox]  # from the number of weights to keep; `TopK` itself is one


@dataclass(frozen=True)
class SoftThresholdRule:
    """The rule of RandProx-l1: soft thresholding, at any number of weights to keep.

    Attributes:
        weight: Threshold lambda of the l1 norm, at least 0.
    """

    weight: float

    def __call__(self, kept: int) -> Prox:
        """The operator.

        Args:
            kept: Number of weights to keep, which does not matter.

        Returns:
            Soft thresholding with lambda.
        """
        return SoftThreshold(self.weight)


@dataclass(frozen=True, kw_only=True)
class UpdateRules:
    """The lines of [SPS] Algorithm 1 that a method has; ProxSkip (Scaffnew) by default.

    [SPS] Algorithm 1, line 12 is h_i <- h_i + (p / gamma) (w_bar - wh_i).

    Attributes:
        every_step: Operator after each local step, [SPS] Algorithm 1, line 7.
        upload: Operator on the upload, [SPS] Algorithm 1, line 9.
        server: Operator on the mean of the uploads, [SPS] Algorithm 1, line 11.
        control: Whether there are control variates h_i; otherwise all are 0.
        control_after_server: Whether w_bar in line 12 is that after line 11, not the mean itself.
        control_after_upload: Whether wh_i in line 12 is the upload, not the trained model.
        counted_steps: Whether p in line 12 is 1 / the round's number of steps, as in Scaffold.
        uploads: Vectors that a client sends, and receives, in a round.
    """

    every_step: ProxRule | None = None
    upload: ProxRule | None = None
    server: ProxRule | None = None
    control: bool = True
    control_after_server: bool = True
    control_after_upload: bool = True
    counted_steps: bool = False
    uploads: int = 1

    @property
    def sends_kept(self) -> bool:
        """True if exactly K weights are sent."""
        return TopK in (self.upload, self.every_step)

    @property
    def sends_nonzero(self) -> bool:
        """True if the number of weights sent is that of the nonzero ones."""
        return not self.sends_kept and (self.upload, self.every_step) != (None, None)

    @property
    def is_dense(self) -> bool:
        """True if nothing is pruned except for the evaluation."""
        return self.every_step is self.upload is self.server is None

    def sent(self, trained: Floats, kept: NDArray[np.int64]) -> Floats:
        """Uploads of the clients: [SPS] Algorithm 1, line 9.

        Args:
            trained: Trained models wh_i, (K, d).
            kept: Numbers of weights to keep, (K,).

        Returns:
            Uploads (K, d).
        """
        return per_client(self.upload, trained, kept)

    def exchange(
        self, sent: Floats, trained: Floats, control: Floats, *, model_kept: int, scale: float
    ) -> tuple[Floats, Floats]:
        """Communication of the participating clients: [SPS] Algorithm 1, lines 10-12.

        With w_bar the mean of the uploads, the sum of the h_i does not change.

        Args:
            sent: Uploads, (K, d).
            trained: Trained models wh_i, (K, d).
            control: Control variates h_i, (K, d).
            model_kept: Number of weights of the server's model.
            scale: p / gamma.

        Returns:
            Model w_bar (d,), and the new h_i (K, d).
        """
        mean = sent.mean(axis=0, dtype=np.float64).astype(trained.dtype)
        model = mean if self.server is None else self.server(model_kept)(mean)
        if self.control:
            local = sent if self.control_after_upload else trained
            target = model if self.control_after_server else mean
            control = control + scale * (target - local)
        return model, control


@dataclass(frozen=True, kw_only=True)
class ControlVariateMethod:
    """A method of [SPS]: its task, local steps, rules, and the sparsity of the evaluated model.

    The evaluated model is TopK(w_bar) with K = floor((1 - `sparsity`) d), d all weights that are
    trained. A client sends as many weights; with `allocated` client i sends floor((1 -
    pruning_ratio_i) d) instead, by the allocation of the round.

    Attributes:
        task: Data set, partition and model.
        descent: Local steps between two communications.
        rules: Lines of the meta-algorithm.
        sparsity: Fraction of the weights that the evaluated model prunes, in [0, 1).
        payload: Encoding of the indices of sparse weights, see `sparse_bits`.
        allocated: Whether the allocation determines the sparsity of the uploads.
    """

    task: Task
    descent: LocalDescent
    rules: UpdateRules
    sparsity: float = 0.0
    payload: SparseEncoding = "values"
    allocated: bool = False

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        check_choice("training.payload", self.payload, get_args(SparseEncoding))
        if self.allocated and not self.rules.sends_kept:
            raise InputError(
                "training.sparsity_from must be 'given' in an algorithm whose uploads are not "
                "pruned"
            )

    def spec(self) -> EngineSpec:
        """The engine that trains the model."""
        return EngineSpec.of(self.task)

    def model_kept(self, size: int) -> int:
        """Number K of weights of the evaluated model.

        Args:
            size: Number d of trained weights.

        Returns:
            K, at least 1.

        Raises:
            InputError: If no weight would be left.
        """
        kept = keep_count(self.sparsity, size)
        if not kept:
            raise InputError(
                f"training.sparsity must leave one of {size} weights, got {in_full(self.sparsity)}"
            )
        return kept

    def kept(self, ratios: Array, size: int) -> NDArray[np.int64]:
        """Numbers K_i of weights of the uploads.

        Args:
            ratios: Pruning ratios of the round, (K,).
            size: Number d of trained weights.

        Returns:
            K_i, (K,).
        """
        if not self.allocated:
            return np.full(len(ratios), self.model_kept(size))
        return np.array([keep_count(float(ratio), size) for ratio in ratios], dtype=np.int64)

    def scale(self, steps: int) -> float:
        """Factor p / gamma of [SPS] Algorithm 1, line 12.

        Args:
            steps: Number of local steps of the round.

        Returns:
            Factor, above 0.
        """
        probability = 1.0 / steps if self.rules.counted_steps else self.descent.probability
        return probability / self.descent.learning_rate

    def upload_bits(
        self, kept: NDArray[np.int64], nonzero: NDArray[np.int64], layout: Layout
    ) -> Array:
        """Bits that clients send, buffers included.

        Uploads that are not pruned count in full, although some of their weights may be 0.

        Args:
            kept: Numbers of weights that the clients keep, (K,).
            nonzero: Numbers of nonzero weights of their uploads, (K,).
            layout: Layout of the model.

        Returns:
            Bits, (K,).
        """
        rules = self.rules
        size = layout.parameter_size
        buffers = np.full(len(kept), float(BITS_PER_WEIGHT * layout.shared_buffer_size))
        if rules.sends_kept or rules.sends_nonzero:
            sent = kept if rules.sends_kept else nonzero
            return np.asarray(buffers + sparse_bits(sent, size, self.payload), dtype=np.float64)
        return buffers + rules.uploads * BITS_PER_WEIGHT * size

    def download_bits(self, nonzero: int | None, layout: Layout) -> float:
        """Bits that a client receives: a sparse model, or the dense one where that is less.

        Args:
            nonzero: Nonzero weights of the model; unknown if None.
            layout: Layout of the model.

        Returns:
            Bits, buffers included.
        """
        size = layout.parameter_size
        weights = float(BITS_PER_WEIGHT * size * self.rules.uploads)
        if nonzero is not None and not self.rules.is_dense:
            weights = min(weights, float(sparse_bits(nonzero, size, self.payload)))
        return weights + BITS_PER_WEIGHT * layout.shared_buffer_size

    def demand(
        self,
        clients: int,
        *,
        layout: Layout | None = None,
        steps: float | None = None,
        sent: NDArray[np.int64] | None = None,
        nonzero: int | None = None,
    ) -> Demand:
        """Weight updates and bits of a round.

        Bits of allocated uploads shrink with the ratio, updates do not: the local model is dense.

        Args:
            clients: Number of clients K.
            layout: Layout of the model; made from the task if None.
            steps: Number of local steps; the expected number if None.
            sent: Nonzero weights of the last uploads, (K,), as an estimate of those of this round;
                all weights if None.
            nonzero: Nonzero weights of the model; all if None.

        Returns:
            Demand with arrays (K,).
        """
        layout = self.spec().build_model()[1] if layout is None else layout
        size = layout.parameter_size
        none = np.zeros(clients, dtype=np.int64)
        sent = np.full(clients, size) if sent is None else sent
        bits = self.upload_bits(self.kept(np.zeros(clients), size), sent, layout)
        prunable = np.zeros(clients)
        if self.allocated:
            fixed = self.upload_bits(none, none, layout)
            prunable = bits - fixed
            bits = fixed
        steps = self.descent.expected_steps if steps is None else steps
        return Demand(
            fixed_updates=np.full(clients, float(steps * size)),
            prunable_updates=np.zeros(clients),
            fixed_upload_bits=bits,
            prunable_upload_bits=prunable,
            fixed_download_bits=np.full(clients, self.download_bits(nonzero, layout)),
        )


def per_client(rule: ProxRule | None, vectors: Floats, kept: NDArray[np.int64]) -> Floats:
    """Vectors of the clients after the operator of a rule.

    Args:
        rule: Operator by the number of weights to keep; none if None.
        vectors: One row for each client, (K, d).
        kept: Numbers of weights to keep, (K,).

    Returns:
        Vectors (K, d).
    """
    if rule is None or not len(kept):
        return vectors
    if (kept == kept[0]).all():
        return rule(int(kept[0]))(vectors)
    return np.stack([rule(int(count))(row) for count, row in zip(kept, vectors, strict=True)])


def check_sparsity(sparsity: float) -> None:
    """Check a sparsity.

    Args:
        sparsity: Fraction of the weights that are pruned.

    Raises:
        InputError: Unless it is in [0, 1).
    """
    check_number("training.sparsity", sparsity, at_least=0)
    if sparsity >= 1:
        raise InputError(f"training.sparsity must be below 1, got {in_full(sparsity)}")
