"""Models made for the data that they are to be trained on."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from training.structure.groups import Group
from wirelessfl import plugins
from wirelessfl.errors import InputError, check_number


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a model is made for: inputs of `input_shape` in `classes` classes; None stands for the
    model's own.

    Every group of channels has max(1, round(`width` x its channels)) of them; what is in no group
    stays whole. Of its `optional` parts those in `without` are left out.
    """

    input_shape: tuple[int, ...] | None = None
    classes: int | None = None
    width: float = 1.0
    without: tuple[str, ...] = ()


def build(name: str, form: Form) -> nn.Module:
    """A new model of the plug-in `name` in this form, which its `input_shape` and `classes` tell.

    Raises `InputError` where the model has no such form.
    """
    check_fit(name, form, "the data")
    plugin = plugins.load("models", name)
    widths = {group.name: max(1, round(form.width * group.width)) for group in _groups(plugin)}
    return _made(
        plugin, form.input_shape, form.classes, widths if form.width < 1 else {}, form.without
    )


def build_like(model: nn.Module, widths: Mapping[str, int]) -> nn.Module:
    """A new model in the form of `model`, with `widths` channels in its groups."""
    shape: Any = getattr(model, "input_shape", None)
    classes: Any = getattr(model, "classes", None)
    return _made(type(model), shape, classes, widths, getattr(model, "without", ()))


def check_fit(name: str, form: Form, data: str) -> None:
    """Raise `InputError` unless model `name` has the form of `data` (so called in the message).

    Channels of images, length of feature vectors and number of classes follow the data where the
    model's constructor takes `channels`, `inputs` and `classes`; height and width must be the
    model's own.
    """
    plugin = plugins.load("models", name)
    own, takes = plugin.input_shape, inspect.signature(plugin).parameters
    shape, classes = form.input_shape or own, form.classes or plugin.classes
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
            f"training.width must be 1 for model {name!r}, which has no groups, got {form.width:g}"
        )
    check_without(name, form.without)


def check_without(name: str, without: tuple[str, ...]) -> None:
    """Raise `InputError` unless model `name` declares everything in `without` as `optional`, and
    that is there once.
    """
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
) -> nn.Module:
    """The model, told what is not as it has it by itself: not every plug-in takes every keyword."""
    keywords: dict[str, Any] = {}
    if input_shape is not None and input_shape != plugin.input_shape:
        keywords[_first(input_shape)] = input_shape[0]
    if classes is not None and classes != plugin.classes:
        keywords["classes"] = classes
    if widths:
        keywords["widths"] = dict(widths)
    if without:
        keywords["without"] = without
    model: nn.Module = plugin(**keywords)
    return model


def _first(shape: tuple[int, ...]) -> str:
    """The keyword for the first axis of an input shape."""
    return "channels" if len(shape) > 1 else "inputs"


def _groups(plugin: Any) -> tuple[Group, ...]:
    groups: tuple[Group, ...] = getattr(plugin, "groups", ())
    return groups
