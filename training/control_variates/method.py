"""The meta-algorithm of [SPS]: local steps with control variates, and what is pruned where, as
data.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from training.control_variates.local_descent import LocalDescent, rounds_within
from training.engine.engine import EngineSpec
from training.sparsity.counts import keep_count
from training.sparsity.packing import index_bits
from training.sparsity.payload import BITS_PER_WEIGHT
from training.sparsity.prox import Prox, SoftThreshold, TopK
from training.structure.layout import Layout
from training.task import Task
from wirelessfl.errors import InputError, check_choice, check_number
from wirelessfl.values import Array, Demand

__all__ = [
    "ControlVariateMethod",
    "LocalDescent",
    "Payload",
    "SoftThresholdRule",
    "UpdateRules",
    "rounds_within",
    "sparse_bits",
]

Payload = Literal["values", "values+index", "bitmap"]
PAYLOADS = ("values", "values+index", "bitmap")
Floats = NDArray[np.floating[Any]]
ProxRule = Callable[
    [int], Prox
]  # from the number of weights that are to stay; `TopK` itself is one


@dataclass(frozen=True)
class SoftThresholdRule:
    """The rule of RandProx-l1: soft thresholding with lambda = `weight`, however many weights are
    to stay.
    """

    weight: float

    def __call__(self, kept: int) -> Prox:
        """The prox, whatever `kept`."""
        return SoftThreshold(self.weight)


@dataclass(frozen=True, kw_only=True)
class UpdateRules:
    """Which lines of [SPS] Algorithm 1 a method has; without any it is ProxSkip (Scaffnew).

    `every_step`: the prox of line 7, after each local step. `upload`: that of line 9, on what is
    sent. `server`: that of line 11, on the mean of what was sent. `control`: whether there are
    control variates h_i, otherwise all 0.

    Line 12 is h_i <- h_i + (p / gamma) (w_bar - wh_i). `control_after_server`: w_bar in it is that
    after line 11, not the mean itself. `control_after_upload`: wh_i in it is what was sent, not
    what was trained. `counted_steps`: p in it is 1 / the round's number of steps, as in Scaffold.
    `uploads`: vectors that a client sends, and gets, in a round.
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
        """Whether exactly K weights are sent."""
        return TopK in (self.upload, self.every_step)

    @property
    def sends_nonzero(self) -> bool:
        """Whether as many weights are sent as happen not to be 0."""
        return not self.sends_kept and (self.upload, self.every_step) != (None, None)

    @property
    def is_dense(self) -> bool:
        """Whether nothing is pruned but for the evaluation."""
        return self.every_step is self.upload is self.server is None

    def sent(self, trained: Floats, kept: NDArray[np.int64]) -> Floats:
        """[SPS] Algorithm 1, line 9: what clients send of `trained` wh_i (K, d), who prune to
        `kept` (K,) weights.
        """
        return per_client(self.upload, trained, kept)

    def exchange(
        self, sent: Floats, trained: Floats, control: Floats, *, model_kept: int, scale: float
    ) -> tuple[Floats, Floats]:
        """Lines 10 to 12: the model w_bar (d,) and the h_i (K, d) of the clients that take part.

        `sent`, `trained` wh_i and `control` h_i are (K, d), the server's model is pruned to
        `model_kept` weights, `scale` is p / gamma. With w_bar the mean of what was sent, the sum of
        the h_i stays what it was.
        """
        mean = sent.mean(axis=0, dtype=np.float64).astype(trained.dtype)
        model = mean if self.server is None else self.server(model_kept)(mean)
        if self.control:
            ours = sent if self.control_after_upload else trained
            control = control + scale * ((model if self.control_after_server else mean) - ours)
        return model, control


@dataclass(frozen=True, kw_only=True)
class ControlVariateMethod:
    """A method of [SPS]: its task, its local steps, its pieces, and the sparsity of the model that
    counts.

    What is evaluated is TopK(w_bar) with K = floor((1 - `sparsity`) d), d all weights that are
    trained. A client sends as many weights; with `allocated` client i sends floor((1 -
    pruning_ratio_i) d) instead, by the round's allocation. `payload` says what the places of sparse
    weights cost, see `sparse_bits`.
    """

    task: Task
    descent: LocalDescent
    pieces: UpdateRules
    sparsity: float = 0.0
    payload: Payload = "values"
    allocated: bool = False

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        check_choice("training.payload", self.payload, PAYLOADS)
        if self.allocated and not self.pieces.sends_kept:
            raise InputError(
                "training.sparsity_from must be 'given' in an algorithm whose uploads are not pruned"
            )

    def spec(self) -> EngineSpec:
        """The engine that trains it."""
        return EngineSpec(
            model=self.task.model,
            form=self.task.form,
            personalised=False,
            batch_size=self.task.batch_size,
            device="cpu",
        )

    def model_kept(self, size: int) -> int:
        """K of a model with `size` trained weights; `InputError` where none would be left."""
        kept = keep_count(self.sparsity, size)
        if not kept:
            raise InputError(
                f"training.sparsity must leave one of {size} weights, got {self.sparsity:g}"
            )
        return kept

    def kept(self, ratios: Array, size: int) -> NDArray[np.int64]:
        """K_i (K,) of the uploads of clients with these pruning ratios (K,)."""
        if not self.allocated:
            return np.full(len(ratios), self.model_kept(size))
        return np.array([keep_count(float(ratio), size) for ratio in ratios], dtype=np.int64)

    def scale(self, steps: int) -> float:
        """p / gamma of [SPS] Algorithm 1, line 12 after a round of `steps`."""
        probability = 1.0 / steps if self.pieces.counted_steps else self.descent.probability
        return probability / self.descent.learning_rate

    def upload_bits(
        self, kept: NDArray[np.int64], nonzero: NDArray[np.int64], layout: Layout
    ) -> Array:
        """Bits (K,) that clients send, who prune to `kept` (K,) weights and end with `nonzero`
        (K,); buffers beside.

        What is not pruned counts in full, although weights of it may be 0.
        """
        pieces, size = self.pieces, layout.parameter_size
        buffers = np.full(len(kept), float(BITS_PER_WEIGHT * layout.shared_buffer_size))
        if pieces.sends_kept or pieces.sends_nonzero:
            sent = kept if pieces.sends_kept else nonzero
            return buffers + sparse_bits(sent, size, self.payload)
        return buffers + pieces.uploads * BITS_PER_WEIGHT * size

    def download_bits(self, nonzero: int | None, layout: Layout) -> float:
        """Bits that a client gets: a model with `nonzero` weights (None: nobody knows), in full
        where that is less.
        """
        size = layout.parameter_size
        full = float(BITS_PER_WEIGHT * size * self.pieces.uploads)
        if nonzero is not None and not self.pieces.is_dense:
            full = min(full, float(sparse_bits(nonzero, size, self.payload)))
        return full + BITS_PER_WEIGHT * layout.shared_buffer_size

    def demand(
        self,
        clients: int,
        *,
        layout: Layout | None = None,
        steps: float | None = None,
        sent: NDArray[np.int64] | None = None,
        nonzero: int | None = None,
    ) -> Demand:
        """Weight updates and bits of a round of `steps`, without them of as many as are expected.

        Bits of allocated uploads shrink with the ratio, updates do not: the local model stays
        dense. `sent` (K,) are the nonzero weights of the uploads before, where those of this round
        are not known yet, `nonzero` those of the model; without them they are all.
        """
        layout = self.spec().build_model()[1] if layout is None else layout
        size, everything = layout.parameter_size, np.ones(clients, dtype=np.int64)
        bits = self.upload_bits(
            self.kept(np.zeros(clients), size), everything * size if sent is None else sent, layout
        )
        prunable = np.zeros(clients)
        if self.allocated:
            fixed = self.upload_bits(0 * everything, 0 * everything, layout)
            bits, prunable = fixed, bits - fixed
        return Demand(
            fixed_updates=np.full(
                clients, (self.descent.expected_steps if steps is None else steps) * size
            ),
            prunable_updates=np.zeros(clients),
            fixed_upload_bits=bits,
            prunable_upload_bits=prunable,
            fixed_download_bits=np.full(clients, self.download_bits(nonzero, layout)),
        )


def per_client(rule: ProxRule | None, vectors: Floats, kept: NDArray[np.int64]) -> Floats:
    """Client i's row of `vectors` (K, d) after the rule's prox with `kept` (K,) weights."""
    if rule is None or not len(kept):
        return vectors
    if (kept == kept[0]).all():
        return rule(int(kept[0]))(vectors)
    return np.stack([rule(int(count))(row) for count, row in zip(kept, vectors, strict=True)])


def sparse_bits(nonzero: Any, size: int, payload: Payload = "values") -> Any:
    """Bits of vectors with `nonzero` of `size` weights (a number or an array), 32 each, and of
    their places.

    `values` alone, the places being known or free as in the tables of [SPS]; `values+index`: and
    ceil(log2 d) for the place of each; `bitmap`: and one for each of the d weights.
    """
    places = {"values": 0, "values+index": nonzero * index_bits(size), "bitmap": size}[payload]
    return BITS_PER_WEIGHT * nonzero + places


def check_sparsity(sparsity: float) -> None:
    """`InputError` unless within [0, 1)."""
    check_number("training.sparsity", sparsity, at_least=0)
    if sparsity >= 1:
        raise InputError(f"training.sparsity must be below 1, got {sparsity:g}")
