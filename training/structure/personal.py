"""Parts of a model that stay with the clients, by the names that a user gives."""

import difflib

from torch import nn

from training.structure.layout import belongs
from wirelessfl.errors import InputError

Personal = str | tuple[str, ...] | None
FEATURES, HEAD, NONE = "features", "head", "none"


def personal_parts(model: nn.Module, choice: Personal, name: str) -> tuple[str, ...]:
    """Names of the modules and tensors that form the personal part.

    Args:
        model: The model.
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
        declared: tuple[str, ...] = getattr(model, "personal", ())
        return declared
    if choice == NONE:
        return ()
    if choice == HEAD:
        return (head(model),)
    if choice == FEATURES:
        last = (head(model),)
        tensors = [*dict(model.named_parameters()), *dict(model.named_buffers())]
        return tuple(tensor for tensor in tensors if not belongs(tensor, last))
    names = (choice,) if isinstance(choice, str) else choice
    for number, part in enumerate(names):
        if part in names[:number]:
            raise InputError(f"training.personal must name each part once, got {part!r} twice")
        if not any(belongs(weight, (part,)) for weight, _ in model.named_parameters()):
            raise InputError(_unknown(model, part, name))
    return names


def head(model: nn.Module) -> str:
    """The last layer of a model.

    Args:
        model: A model with weights.

    Returns:
        The name that it declares as `feature_layer`, else that of the last module with weights.
    """
    declared: str | None = getattr(model, "feature_layer", None)
    return declared or _layers(model)[-1]


def _layers(model: nn.Module) -> list[str]:
    """Names of the modules with weights of their own, in order."""
    return [
        name
        for name, module in model.named_modules()
        if name and any(True for _ in module.parameters(recurse=False))
    ]


def _unknown(model: nn.Module, part: str, name: str) -> str:
    """Message for a name that is none of the model's."""
    top = [
        child for child, module in model.named_children() if any(True for _ in module.parameters())
    ]
    known = (FEATURES, HEAD, NONE, *top)
    close = difflib.get_close_matches(part, [*known, *_layers(model)], n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return (
        f"training.personal must be {FEATURES}, {HEAD}, {NONE} or parts of model {name!r} "
        f"({', '.join(top)}), got {part!r}{hint}"
    )
