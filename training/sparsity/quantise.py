"""Quantised uploads: unbiased stochastic rounding to 16 or 8 bits for each weight."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from training.arrays import Mask, Vector
from training.sparsity.payload import BITS_PER_WEIGHT
from wirelessfl.errors import InputError

BitsPerWeight = Literal[32, 16, 8]
SCALE_BITS = 32  # of the scale that is sent with each tensor


@dataclass(frozen=True, kw_only=True)
class UploadPrecision:
    """Bits of a weight in the uploads.

    With 32 bits a client sends its weights w_k unchanged. With b = 16 or 8 it sends the difference
    x = w_k - w_t to the model of the round's start, rounded to whole multiples of s / L, with L =
    2^(b-1) - 1 and s the largest |x_j| of the tensor among the weights that are kept:

        q_j = (s / L) floor(L x_j / s + r_j), r_j uniform in [0, 1).

    The mean of q_j is x_j, |q_j - x_j| < s / L, and the variance is at most (s / L)^2 / 4
    (stochastic quantisation as in Alistarh, Grubic, Li, Tomioka, Vojnovic, "QSGD:
    Communication-efficient SGD via gradient quantization and encoding", NeurIPS 2017, with the
    largest value as the norm). A tensor costs 32 bits more for s. The download, running statistics
    of batch norm and the personal part are not quantised.

    Attributes:
        bits_per_weight: Bits of each weight that is sent: 32, 16 or 8.
    """

    bits_per_weight: BitsPerWeight = 32

    def __post_init__(self) -> None:
        if self.bits_per_weight not in get_args(BitsPerWeight):
            raise InputError(
                f"training.bits_per_weight must be one of 32, 16, 8, got {self.bits_per_weight!r}"
            )

    @property
    def quantises(self) -> bool:
        """True if uploads are rounded."""
        return self.bits_per_weight < BITS_PER_WEIGHT

    def overhead_bits(self, tensors: int) -> float:
        """Bits of the scales.

        Args:
            tensors: Number of tensors that are sent.

        Returns:
            Bits; 0 without rounding.
        """
        return float(SCALE_BITS * tensors) if self.quantises else 0.0

    def received(
        self,
        trained: Vector,
        start: Vector,
        mask: Mask,
        tensors: Sequence[slice],
        rng: np.random.Generator,
    ) -> Vector:
        """The weights that the server has from a rounded upload.

        Args:
            trained: Trained weights w_k, (N,); values outside the tensors stay.
            start: Weights w_t at the start of the round, (N,).
            mask: Weights that are sent, (N,).
            tensors: Places of the tensors.
            rng: Generator of the rounding.

        Returns:
            w_t + q where a weight is sent, `trained` elsewhere, (N,) float32.
        """
        levels = 2 ** (self.bits_per_weight - 1) - 1
        received = trained.copy()
        for tensor in tensors:
            sent = mask[tensor]
            difference = np.where(sent, trained[tensor].astype(np.float64) - start[tensor], 0.0)
            scale = float(np.abs(difference).max(initial=0.0))
            if scale > 0:
                unit = scale / levels
                rounded = unit * np.floor(difference / unit + rng.random(difference.shape))
                received[tensor] = np.where(sent, start[tensor] + rounded, trained[tensor])
            elif sent.any():
                received[tensor] = np.where(sent, start[tensor], trained[tensor])
        return received
