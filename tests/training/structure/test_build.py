"""Models of the papers: sizes, multiply-accumulates, forms and their errors."""

import pytest
import torch
import torch.nn.functional as F

from training.data.torchvision_shim import torchvision
from training.models.digits_cnn import DigitsCnn
from training.models.mnist_cnn import MnistCnn
from training.structure.build import build
from training.structure.form import Form
from training.structure.layout import Layout
from training.structure.macs import layer_macs
from training.structure.structure import Structure
from training.structure.submodel import SubModel
from wirelessfl import plugins


def _sizes(model):
    sizes = {True: 0, False: 0}
    for name, parameter in model.named_parameters():
        sizes[name.split(".")[0] in model.personal] += parameter.numel()
    return sizes[True], sizes[False]


@pytest.mark.parametrize(
    ("model", "personal", "shared"), [(MnistCnn, 5_280, 16_560), (DigitsCnn, 1_248, 3_760)]
)
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


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("logistic", 7_850),
        ("linear", 281),  # d of [SPS] for BlogFeedback, with the bias
        ("mlp", 199_210),
        ("cnn", 1_663_370),
        ("vgg16", 15_119_690),  # 15.120 M
        ("resnet18", 11_173_962),
        ("resnet20", 272_474),
        ("resnet32", 466_906),  # [CA-HFP] Table I
        ("alexnet-like", 1_227_530),
    ],
)
def test_parameters(name, parameters):
    assert sum(p.numel() for p in plugins.load("models", name)().parameters()) == parameters


def test_what_the_masks_of_mce_pl_choose_from():
    sizes = {True: 0, False: 0}
    for parameter in plugins.load("models", "alexnet-like")().parameters():
        sizes[parameter.ndim > 1] += parameter.numel()
    assert sizes == {True: 1_227_328, False: 202}


@pytest.mark.parametrize(
    ("name", "digit", "ratio", "parameters", "printed_gflops"),
    [
        ("vgg16", 0.01, 0.0, 15_119_690, 40.28),  # printed in [CA-HFP] Table I: 15.1 M, 40.3 G
        ("vgg16", 0.01, 0.25, 8_615_482, 22.74),
        ("vgg16", 0.01, 0.5, 3_949_866, 10.18),  # printed: 3.95 M, 10.2 G
        ("vgg16", 0.01, 0.75, 1_122_842, 2.61),
        ("vgg16", 0.01, 0.9, 308_686, 0.45),
        ("resnet32", 0.001, 0.0, 466_906, 9.009),  # printed: 466 K, 9.01 G
        ("resnet32", 0.001, 0.25, 351_426, 6.802),
        ("resnet32", 0.001, 0.5, 235_946, 4.594),
        ("resnet32", 0.001, 0.75, 120_466, 2.386),
        ("resnet32", 0.001, 0.9, 49_016, 1.102),
    ],
)
def test_sizes_of_ca_hfp(name, digit, ratio, parameters, printed_gflops):
    """At 128 images; fewer filters in every convolution of VGG16 and within every block of
    ResNet-32.
    """
    model = plugins.load("models", name)()
    structure = Structure.of(model, Layout.of(model))
    sub = SubModel.first(structure.uniform(ratio))
    assert structure.parameters(sub) == parameters
    assert 128 * structure.profiled(sub) / 1e9 == pytest.approx(printed_gflops, abs=digit / 2)


def test_two_blocks_left_whole_give_the_printed_half_of_resnet32():
    model = plugins.load("models", "resnet32")()
    structure = Structure.of(model, Layout.of(model))
    sub = SubModel.first(
        structure.without_pruning(("blocks.6", "blocks.7")).uniform(0.5)
    )  # 254 K, 5.20 G
    assert structure.parameters(sub) == 254_442
    assert 128 * structure.profiled(sub) / 1e9 == pytest.approx(5.202, abs=5e-4)


def test_the_alexnet_like_network_step_by_step():
    """Against layers from torch.nn, as the official code of [MCE-PL] stacks them."""
    torch.manual_seed(0)
    net = plugins.load("models", "alexnet-like")()
    layers = torch.nn.Sequential(
        *(
            net.conv1,
            torch.nn.ELU(),
            torch.nn.LocalResponseNorm(4, alpha=2e-5),
            torch.nn.MaxPool2d(3, 2),
        ),
        *(
            net.conv2,
            torch.nn.ELU(),
            torch.nn.LocalResponseNorm(4, alpha=1e-4),
            torch.nn.MaxPool2d(3, 2),
        ),
        *(
            net.conv3,
            torch.nn.ELU(),
            torch.nn.LocalResponseNorm(4, alpha=1e-4),
            torch.nn.MaxPool2d(3, 2, padding=1),
        ),
        *(torch.nn.Flatten(), net.fc1, torch.nn.ELU(), net.fc2, torch.nn.ELU()),
    )
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(net(images), layers(images), rtol=1e-6, atol=1e-6)


def test_pixels_of_the_alexnet_like_network():
    net = plugins.load("models", "alexnet-like")()
    sizes = []
    for conv in (net.conv1, net.conv2, net.conv3):
        conv.register_forward_hook(
            lambda _, read, made: sizes.extend((read[0].shape[-1], made.shape[-1]))
        )
    net.fc1.register_forward_pre_hook(
        lambda _, read: sizes.append(round((read[0].shape[1] / 256) ** 0.5))
    )
    net(torch.zeros(1, 3, 32, 32))
    assert sizes == [32, 30, 14, 12, 5, 3, 2]


@pytest.mark.parametrize("without", [("lrn",), ("elu-logits",), ("elu-logits", "lrn")])
def test_parts_that_the_alexnet_like_network_can_do_without(without):
    torch.manual_seed(0)
    net = build("alexnet-like", Form(without=without))
    hidden = images = torch.randn(2, 3, 32, 32)
    for conv, alpha, padding in ((net.conv1, 2e-5, 0), (net.conv2, 1e-4, 0), (net.conv3, 1e-4, 1)):
        hidden = F.elu(conv(hidden))
        hidden = hidden if "lrn" in without else F.local_response_norm(hidden, 4, alpha, 0.75)
        hidden = F.max_pool2d(hidden, 3, 2, padding)
    logits = net.fc2(F.elu(net.fc1(hidden.flatten(1))))
    logits = logits if "elu-logits" in without else F.elu(logits)
    torch.testing.assert_close(net(images), logits, rtol=1e-6, atol=1e-6)


def test_the_small_sister_of_the_alexnet_like_network():
    for width, weights in ((0.25, 77_968), (0.594, 434_302)):
        parameters = build("alexnet-like", Form(width=width)).parameters()
        assert sum(each.numel() for each in parameters if each.ndim > 1) == weights


def test_residual_blocks_are_the_usual_ones():
    """Against torchvision's ResNet-18 with the stem for small images: the same outputs from the
    same numbers.
    """
    theirs = torchvision().models.resnet18(num_classes=10)
    theirs.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = torch.nn.Identity()
    ours = plugins.load("models", "resnet18")()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.shape == other.shape
        mine.data = other.data
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(ours(images), theirs(images))
