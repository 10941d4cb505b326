"""Import of torchvision without its compiled operators."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_torchvision_imports_without_a_warning_and_gives_its_data_sets():
    code = (
        "from training.data.torchvision_shim import torchvision\n"
        "assert torchvision() is torchvision()\n"
        "assert torchvision().datasets.MNIST.__name__ == 'MNIST'\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.slow
def test_only_missing_operators_are_declared():
    code = (
        "import torch\n"
        "own = torch.library.Library('torchvision', 'DEF')\n"
        "own.define('nms(Tensor dets) -> Tensor')\n"
        "from training.data.torchvision_shim import _declare_missing_operators\n"
        "_declare_missing_operators()\n"
        "assert len(torch.ops.torchvision.nms.default._schema.arguments) == 1\n"
        "assert len(torch.ops.torchvision.qnms.default._schema.arguments) == 3\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
