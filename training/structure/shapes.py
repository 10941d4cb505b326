"""Names and shapes of a model's tensors; those of the built-in models without importing torch.

`training/models/shapes.json` holds them, with shape and classes of the built-in data sets, so that
a plan needs no model. `python -m training.structure.shapes` writes the file; a test compares it
with the models.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.structure.form import Form
from wirelessfl import plugins
from wirelessfl.records import strict_json

if TYPE_CHECKING:  # torch takes a second
    from torch import Tensor, nn

Named = tuple[str, tuple[int, ...]]  # name and shape of a tensor
FILE = Path(__file__).parents[1] / "models" / "shapes.json"


@dataclass(frozen=True)
class Shapes:
    """Shapes of a model.

    Attributes:
        parameters: Name and shape of each parameter, in the order of `named_parameters`.
        buffers: Name and shape of each floating-point buffer.
        personal: Names of the personal sub-modules that it declares.
        feature_layer: Name of the last layer that it declares; None without.
    """

    parameters: tuple[Named, ...]
    buffers: tuple[Named, ...] = ()
    personal: tuple[str, ...] = ()
    feature_layer: str | None = None

    @classmethod
    def of(cls, model: "nn.Module") -> "Shapes":
        """The shapes of a model.

        Args:
            model: The model.

        Returns:
            Its shapes.
        """
        declared: Any = getattr(model, "personal", ())
        feature_layer: Any = getattr(model, "feature_layer", None)
        return cls(
            parameters=tuple((name, tuple(one.shape)) for name, one in model.named_parameters()),
            buffers=tuple((name, tuple(one.shape)) for name, one in float_buffers(model)),
            personal=tuple(declared),
            feature_layer=feature_layer,
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the modules with parameters of their own, in order."""
        return tuple(dict.fromkeys(name.rpartition(".")[0] for name, _ in self.parameters))


def float_buffers(model: "nn.Module") -> "Iterator[tuple[str, Tensor]]":
    """The floating-point buffers of a model, which are part of its flat vector.

    Args:
        model: The model.

    Returns:
        Names and buffers.
    """
    return ((name, buffer) for name, buffer in model.named_buffers() if buffer.is_floating_point())


def belongs(name: str, modules: Sequence[str]) -> bool:
    """Test if a tensor is one of the named ones, or in one of the named modules.

    Args:
        name: Name of a parameter or buffer.
        modules: Names of modules, parameters or buffers.

    Returns:
        True if it is.
    """
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def known_form(dataset: str) -> Form | None:
    """Input shape and classes of a built-in data set.

    Args:
        dataset: Name of the data set's plug-in.

    Returns:
        The form; None for another data set.
    """
    found = _catalogue()["datasets"].get(dataset)
    if found is None:
        return None
    return Form(input_shape=tuple(found["shape"]), classes=found["classes"])


def known_shapes(model: str, form: Form) -> Shapes | None:
    """Shapes of a built-in model in its usual form.

    Args:
        model: Name of the model's plug-in.
        form: Form in which the model is made.

    Returns:
        The shapes; None for another model or form, which has to be made to know them.
    """
    found = _catalogue()["models"].get(model)
    if found is None or form.width < 1 or form.without:
        return None
    if form.input_shape not in (None, tuple(found["input_shape"])):
        return None
    if form.classes not in (None, found["classes"]):
        return None
    return Shapes(
        parameters=_named(found["parameters"]),
        buffers=_named(found["buffers"]),
        personal=tuple(found["personal"]),
        feature_layer=found["feature_layer"],
    )


def check_known(kind: str, name: str) -> None:
    """Check the name of a model or data set; a built-in one is not imported.

    Args:
        kind: `models` or `datasets`.
        name: Name of the plug-in.

    Raises:
        InputError: There is no such plug-in, or its file cannot be loaded.
    """
    if name in _catalogue()[kind]:
        plugins.names(kind)  # raises an error if a plug-in from outside has the same name
    else:
        plugins.load(kind, name)


def catalogue() -> dict[str, Any]:
    """The content of the file, from the plug-ins themselves."""
    models = {}
    for name in plugins.names("models"):
        model: Any = plugins.load("models", name)()
        shapes = Shapes.of(model)
        models[name] = {
            "input_shape": list(model.input_shape),
            "classes": model.classes,
            "personal": list(shapes.personal),
            "feature_layer": shapes.feature_layer,
            "parameters": [[tensor, list(shape)] for tensor, shape in shapes.parameters],
            "buffers": [[tensor, list(shape)] for tensor, shape in shapes.buffers],
        }
    cards = {name: plugins.load("datasets", name).card for name in plugins.names("datasets")}
    datasets = {
        name: {"shape": list(card.shape), "classes": card.classes} for name, card in cards.items()
    }
    return {"datasets": datasets, "models": models}


def as_text(content: dict[str, Any]) -> str:
    """The content as JSON, one line for each plug-in.

    Args:
        content: See `catalogue`.

    Returns:
        The text of the file.
    """
    kinds = []
    for kind, plugs in content.items():
        lines = ",\n".join(f'  "{name}": {strict_json.dumps(plug)}' for name, plug in plugs.items())
        kinds.append(f'"{kind}": {{\n{lines}\n}}')
    return "{\n" + ",\n".join(kinds) + "\n}\n"


@cache
def _catalogue() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


def _named(found: list[Any]) -> tuple[Named, ...]:
    return tuple((name, tuple(shape)) for name, shape in found)


if __name__ == "__main__":
    FILE.write_text(as_text(catalogue()), encoding="utf-8")
