"""torchvision, also beside a torch that its compiled part was not built for."""

from functools import cache
from types import ModuleType

import torch

_SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


@cache
def torchvision() -> ModuleType:
    """The package torchvision, imported at the first call.

    The wheels on PyPI are compiled for CUDA torch. With a CPU-only torch their compiled part does
    not load, and the import fails because operators are missing that data sets never use; declaring
    those operators is sufficient.

    Returns:
        The module.
    """
    try:
        return _import()
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        _declare_missing_operators()
        return _import()


def _import() -> ModuleType:
    import torchvision

    module: ModuleType = torchvision
    return module


@cache  # the declarations last as long as the library object
def _declare_missing_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + schema)
    return library
