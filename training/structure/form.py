"""Form in which a model is made: that of the data."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form in which a model is made.

    Attributes:
        input_shape: Shape of an input without the batch axis; the model's own if None.
        classes: Number of classes; the model's own if None.
        width: Fraction within (0, 1] of the channels of each declared group, at least one:
            max(1, round(`width` x channels)). Layers in no group stay whole.
        without: Names of `optional` parts of the model that are omitted.
    """

    input_shape: tuple[int, ...] | None = None
    classes: int | None = None
    width: float = 1.0
    without: tuple[str, ...] = ()
