"""Models made for the data that they are trained on."""

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from training.structure.form import Form
from training.structure.groups import Group
from wirelessfl import plugins
from wirelessfl.border.gate import inside
from wirelessfl.errors import InputError, check_number
from wirelessfl.text import in_full

if TYPE_CHECKING:  # torch takes a second
    from torch import nn


def build(name: str, form: Form) -> "nn.Module":
    """A new model in a given form, which shows in its `input_shape` and `classes`.

    Args:
        name: Name of the model's plug-in.
        form: Input shape, classes, width and omitted parts.

    Returns:
        The model with random weights from torch's global generator.

    Raises:
        InputError: The model cannot be made in this form.
    """
    check_fit(name, form, "the data")
    plugin = plugins.load("models", name)
    widths = {group.name: max(1, round(form.width * group.width)) for group in _groups(plugin)}
    return _made(
        plugin, form.input_shape, form.classes, widths if form.width < 1 else {}, form.without
    )


def build_like(model: "nn.Module", widths: Mapping[str, int]) -> "nn.Module":
    """A new model in the form of another one, with fewer channels.

    Args:
        model: The model to follow.
        widths: Channels of each group; a group that is not named keeps all.

    Returns:
        The model with random weights.

    Raises:
        InputError: A group does not exist or has fewer channels.
    """
    shape: Any = getattr(model, "input_shape", None)
    classes: Any = getattr(model, "classes", None)
    return _made(type(model), shape, classes, widths, getattr(model, "without", ()))


def check_fit(name: str, form: Form, data: str) -> None:
    """Check that a model can be made for a data set.

    Channels of images, length of feature vectors and number of classes follow the data where the
    model's constructor takes `channels`, `inputs` and `classes`; height and width must be the
    model's own.

    Args:
        name: Name of the model's plug-in.
        form: Form of the data.
        data: Name of the data in the message.

    Raises:
        InputError: The model has no such form.
    """
    plugin = plugins.load("models", name)
    own = plugin.input_shape
    takes = inspect.signature(plugin).parameters
    shape = form.input_shape or own
    classes = form.classes or plugin.classes
    fits = shape == own or (
        len(shape) == len(own) and shape[1:] == own[1:] and _first(own) in takes
    )
    if not fits or (classes != plugin.classes and "classes" not in takes):
        kind = "images" if len(shape) > 1 else "features"
        raise InputError(
            f"training.model {name!r} must fit {data} with {kind} {shape} in {classes} classes, "
            f"got a model for {own} in {plugin.classes} classes"
        )
    check_number("training.width", form.width, above=0, at_most=1)
    if form.width < 1 and not _groups(plugin):
        raise InputError(
            f"training.width must be 1 for model {name!r}, which has no groups, "
            f"got {in_full(form.width)}"
        )
    check_without(name, form.without)


def check_without(name: str, without: tuple[str, ...]) -> None:
    """Check the names of omitted parts.

    Args:
        name: Name of the model's plug-in.
        without: Names of parts; the model declares all of them as `optional`, each is given once.

    Raises:
        InputError: A part is not optional or is given twice.
    """
    if not without:
        return
    optional: tuple[str, ...] = getattr(plugins.load("models", name), "optional", ())
    for number, part in enumerate(without):
        if part not in optional or part in without[:number]:
            raise InputError(
                f"training.without must name parts that model {name!r} can leave out "
                f"({', '.join(optional) or 'it has none'}), each once, got {part!r}"
            )


def _made(
    plugin: Any,
    input_shape: tuple[int, ...] | None,
    classes: int | None,
    widths: Mapping[str, int],
    without: tuple[str, ...],
) -> "nn.Module":
    """The model; only arguments that differ from its defaults are passed, as plug-ins vary."""
    keywords: dict[str, Any] = {}
    if input_shape is not None and input_shape != plugin.input_shape:
        keywords[_first(input_shape)] = input_shape[0]
    if classes is not None and classes != plugin.classes:
        keywords["classes"] = classes
    if widths:
        keywords["widths"] = dict(widths)
    if without:
        keywords["without"] = without
    with inside("model", plugin):
        model: nn.Module = plugin(**keywords)
    return model


def _first(shape: tuple[int, ...]) -> str:
    """The constructor's argument for the first axis of an input shape."""
    return "channels" if len(shape) > 1 else "inputs"


def _groups(plugin: Any) -> tuple[Group, ...]:
    groups: tuple[Group, ...] = getattr(plugin, "groups", ())
    return groups
