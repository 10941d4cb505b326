"""Common fields of the algorithms that send sparse models."""

from dataclasses import dataclass
from typing import Literal, get_args

from training.decentralised.masked_weights import Payload
from wirelessfl.errors import check_choice

PayloadForm = Literal["nonzero", "values"]


@dataclass(frozen=True, kw_only=True)
class SparsePayload:
    """Payload of a sparse model, 32 bits for each counted weight, biases included.

    Attributes:
        payload: Weights that are counted: those that are kept (`nonzero`), or all (`values`).
        count_mask_bits: Whether a bitmap is added.
    """

    payload: PayloadForm = "nonzero"
    count_mask_bits: bool = False

    def check_payload(self) -> None:
        """Check the fields.

        Raises:
            InputError: If `payload` is not one of the choices.
        """
        check_choice("training.payload", self.payload, get_args(PayloadForm))

    @property
    def counted(self) -> Payload:
        """Bits of a masked model by these fields."""
        return Payload(dense=self.payload == "values", bitmap=self.count_mask_bits)
