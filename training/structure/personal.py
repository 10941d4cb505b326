"""Parts of a model that stay with the clients, by the names that a user gives."""

import difflib

from training.structure.shapes import Shapes, belongs
from wirelessfl.errors import InputError

Personal = str | tuple[str, ...] | None
FEATURES, HEAD, NONE = "features", "head", "none"


def personal_parts(shapes: Shapes, choice: Personal, name: str) -> tuple[str, ...]:
    """Names of the modules and tensors that form the personal part.

    Args:
        shapes: Shapes of the model.
        choice: `features`, all of the model but its last layer; `head`, its last layer; `none`;
            the name of a module or parameter; several names; None for those that the model
            declares as `personal`.
        name: Name of the model's plug-in, for messages.

    Returns:
        Names of modules, parameters and buffers; empty for nothing personal.

    Raises:
        InputError: A name is not one of the model or is given twice.
    """
    if choice is None:
        return shapes.personal
    if choice == NONE:
        return ()
    if choice == HEAD:
        return (head(shapes),)
    if choice == FEATURES:
        last = (head(shapes),)
        tensors = (*shapes.parameters, *shapes.buffers)
        return tuple(tensor for tensor, _ in tensors if not belongs(tensor, last))
    names = (choice,) if isinstance(choice, str) else choice
    for number, part in enumerate(names):
        if part in names[:number]:
            raise InputError(f"training.personal must name each part once, got {part!r} twice")
        if not any(belongs(weight, (part,)) for weight, _ in shapes.parameters):
            raise InputError(_unknown(shapes, part, name))
    return names


def head(shapes: Shapes) -> str:
    """The last layer of a model.

    Args:
        shapes: Shapes of a model with weights.

    Returns:
        The name that it declares as `feature_layer`, else that of the last module with weights.
    """
    return shapes.feature_layer or shapes.layers[-1]


def _unknown(shapes: Shapes, part: str, name: str) -> str:
    """Message for a name that is none of the model's."""
    top = list(dict.fromkeys(layer.partition(".")[0] for layer in shapes.layers))
    known = (FEATURES, HEAD, NONE, *top)
    close = difflib.get_close_matches(part, [*known, *shapes.layers], n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return (
        f"training.personal must be {FEATURES}, {HEAD}, {NONE} or parts of model {name!r} "
        f"({', '.join(top)}), got {part!r}{hint}"
    )
