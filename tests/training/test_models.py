import pytest
import torch
import torch.nn.functional as F

from training.models._macs import layer_macs
from training.models.digits_cnn import DigitsCnn
from training.models.mnist_cnn import MnistCnn


def _sizes(model):
    sizes = {True: 0, False: 0}
    for name, parameter in model.named_parameters():
        sizes[name.split(".")[0] in model.personal] += parameter.numel()
    return sizes[True], sizes[False]


@pytest.mark.parametrize(("model", "personal", "shared"), [(MnistCnn, 5_280, 16_560), (DigitsCnn, 1_248, 3_760)])
def test_personal_and_global_sizes(model, personal, shared):
    assert _sizes(model()) == (personal, shared)


def test_macs_counted_by_hand():
    assert layer_macs(MnistCnn()) == {
        "conv1": 24 * 24 * 10 * 25,
        "conv2": 8 * 8 * 20 * 250,
        "fc1": 320 * 50,
        "fc2": 50 * 10,
    }
    assert layer_macs(DigitsCnn()) == {
        "conv1": 8 * 8 * 8 * 9,
        "conv2": 4 * 4 * 16 * 72,
        "fc1": 64 * 50,
        "fc2": 50 * 10,
    }


@pytest.mark.parametrize("model", [MnistCnn, DigitsCnn])
def test_pool_before_relu_is_relu_before_pool(model):
    torch.manual_seed(0)
    net = model()
    images = torch.randn(4, *net.input_shape)
    hidden = F.max_pool2d(F.relu(net.conv1(images)), 2)
    hidden = F.max_pool2d(F.relu(net.conv2(hidden)), 2)
    assert torch.equal(net(images), net.fc2(F.relu(net.fc1(hidden.flatten(1)))))
