"""Contract of every model."""

import copy
import inspect
from dataclasses import replace

import pytest
import torch
from torch import nn

from training.engine.network import LOSSES, Network
from training.engine.spec import EngineSpec
from training.structure import shapes
from training.structure.build import build, build_like
from training.structure.form import Form
from training.structure.layout import Layout
from training.structure.macs import layer_macs
from training.task import Task
from wirelessfl import plugins
from wirelessfl.errors import InputError

NORMS = nn.modules.batchnorm._BatchNorm


NAMES = plugins.names("models")
WITH_GRADIENT = [name for name in NAMES if hasattr(plugins.load("models", name), "gradient")]
SHRINKING = [name for name in NAMES if getattr(plugins.load("models", name), "groups", ())]


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def model(name):
    torch.manual_seed(0)
    return plugins.load("models", name)()


def _inputs(model, count=3):
    return torch.randn(count, *model.input_shape, generator=torch.Generator().manual_seed(1))


def _targets(model, count):
    if _loss_of(model) == "squared-error":
        return torch.linspace(-1.0, 1.0, count)
    return torch.arange(count) % model.classes


def _loss_of(model):
    return getattr(model, "loss", "cross-entropy")


def _parts(model):
    return {name.split(".")[0] for name, _ in model.named_parameters()}


def test_outputs_of_the_declared_shape(model):
    assert model(_inputs(model)).shape == (3, model.classes)


def test_the_loss_is_known_and_fits_the_outputs(model):
    loss = LOSSES[_loss_of(model)](model(_inputs(model)), _targets(model, 3))
    assert loss.shape == ()
    assert (model.classes == 1) == (_loss_of(model) == "squared-error")


def test_personal_names_are_modules_and_leave_something_global(model):
    assert set(model.personal) <= _parts(model)
    assert _parts(model) - set(model.personal)


@pytest.mark.parametrize("name", ["digits-cnn", "mnist-cnn"])
def test_personal_part_is_the_convolutions_in_the_networks_of_wfl(name):
    model = plugins.load("models", name)()
    for path, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            assert (path.split(".")[0] in model.personal) == isinstance(module, nn.Conv2d)


def test_every_parameter_learns(model):
    model.eval()  # batch norm takes a bias in front of it away again, except by running statistics
    LOSSES[_loss_of(model)](model(_inputs(model, 16)), _targets(model, 16)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_initial_weights_are_a_function_of_the_seed(model):
    """Of every layer; batch norm starts at 1 and 0, and a convex problem may start at 0."""
    torch.manual_seed(0)
    again = type(model)()
    torch.manual_seed(1)
    other = type(model)()
    for name, parameter in model.named_parameters():
        layer = model.get_submodule(name.rpartition(".")[0])
        fixed = isinstance(layer, NORMS) or (
            _loss_of(model) == "squared-error" and not parameter.any()
        )
        assert torch.equal(parameter, again.get_parameter(name))
        assert torch.equal(parameter, other.get_parameter(name)) == fixed, name


def test_macs_cover_every_weight_and_leave_the_model_alone(model):
    before = copy.deepcopy(model.state_dict())
    macs = layer_macs(model)
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    }
    assert macs.keys() == layers.keys()
    for name, layer in layers.items():
        assert (
            macs[name] % layer.weight.numel() == 0
        )  # each weight is used once per output position
        assert macs[name] > 0
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("name", WITH_GRADIENT)
def test_a_gradient_in_closed_form_is_that_of_autograd(name):
    model = plugins.load("models", name)()
    inputs = _inputs(model, 7)
    targets = _targets(model, 7)
    network = Network(model, Layout.of(model), torch.device("cpu"))
    network.vector.copy_(
        torch.randn(network.layout.size, generator=torch.Generator().manual_seed(2)) / 20
    )
    loss = LOSSES[_loss_of(model)](model(inputs), targets)
    expected = torch.autograd.grad(
        loss, [model.get_parameter(entry.name) for entry in network.layout.parameters]
    )
    assert network.backward(inputs, targets).item() == pytest.approx(loss.item(), rel=1e-6)
    flat = torch.cat([gradient.reshape(-1) for gradient in expected])
    torch.testing.assert_close(network.gradient, flat, rtol=1e-5, atol=1e-6)


def _other(model):
    """Another form that the model can have: more channels, or features, and other classes."""
    shape = (model.input_shape[0] + 2, *model.input_shape[1:])
    return Form(input_shape=shape, classes=7 if _loss_of(model) == "cross-entropy" else 1)


def test_is_made_for_the_datas_channels_and_classes(name, model):
    form = _other(model)
    made = build(name, form)
    assert (made.input_shape, made.classes) == (form.input_shape, form.classes)
    assert made(_inputs(made)).shape == (3, form.classes)
    assert (type(made).input_shape, type(made).classes) == (model.input_shape, model.classes)
    assert [name for name, _ in made.named_parameters()] == [
        name for name, _ in model.named_parameters()
    ]


def test_its_own_form_is_the_model_itself(name, model):
    torch.manual_seed(0)
    same = build(name, Form(input_shape=model.input_shape, classes=model.classes))
    assert all(
        torch.equal(value, same.state_dict()[key]) for key, value in model.state_dict().items()
    )


def test_another_height_or_number_of_axes_is_refused_in_one_line(name, model):
    shape = model.input_shape
    others = [(*shape[:-1], shape[-1] + 1), (*shape, 1)] if len(shape) > 1 else [(1, *shape)]
    for other in others:
        with pytest.raises(
            InputError, match=rf"training.model '{name}' must fit the data with [^\n]*\Z"
        ):
            build(name, Form(input_shape=other))


def test_a_share_of_the_width_is_for_models_with_groups(name, model):
    if name not in SHRINKING:
        with pytest.raises(
            InputError, match=rf"training.width must be 1 for model '{name}', which has no groups"
        ):
            build(name, Form(width=0.5))
        return
    form = replace(_other(model), width=0.5)
    made = build(name, form)
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    for group in model.groups:
        weight = f"{group.rows[0]}.weight"
        assert made.get_parameter(weight).shape[0] == shapes[weight][0] // 2
    assert made(_inputs(made)).shape == (3, form.classes)
    smallest = build_like(made, {group.name: 1 for group in made.groups})
    assert smallest(_inputs(made)).shape == (3, form.classes)


def test_every_part_that_is_optional_can_be_left_out(name, model):
    for part in getattr(model, "optional", ()):
        whole = build(name, _other(model))
        made = build(name, replace(_other(model), without=(part,)))
        made.load_state_dict(whole.state_dict())
        inputs = _inputs(made)
        assert not torch.equal(made(inputs), whole(inputs))
        assert build_like(made, {}).without == (part,)
    with pytest.raises(
        InputError,
        match=rf"training.without must name parts that model '{name}' [^\n]*got 'roof'\Z",
    ):
        build(name, Form(without=("roof",)))


CARDS = {
    name: plugins.load("datasets", name).card
    for name in plugins.names("datasets")
    if hasattr(plugins.load("datasets", name), "card")
}


@pytest.mark.parametrize("dataset", CARDS)
def test_is_made_for_every_data_set_that_fits(name, dataset):
    """Images that are no larger than the model's; features for a model of features."""
    own = plugins.load("models", name).input_shape
    shape = CARDS[dataset].shape
    image_size = own[-1] if len(own) == len(shape) == 3 else None
    task = Task(dataset=dataset, model=name, image_size=image_size)
    if len(shape) != len(own) or max(shape[1:], default=0) > max(own[1:], default=0):
        with pytest.raises(InputError, match=f"'{dataset}'"):
            _ = task.form
        return
    with torch.device("meta"):  # shapes without numbers
        model = build(name, task.form)
        outputs = model(torch.zeros(2, *task.form.input_shape))
    assert model.input_shape == (shape[0], *own[1:])
    assert outputs.shape == (2, CARDS[dataset].classes)


def test_widths_are_for_models_that_declare_groups(name):
    takes_widths = "widths" in inspect.signature(plugins.load("models", name)).parameters
    assert takes_widths == (name in SHRINKING)


@pytest.mark.parametrize("name", SHRINKING)
class TestShrinking:
    """A model with groups of channels is built narrower by `widths`."""

    def test_the_same_tensors_in_the_same_order(self, model):
        small = type(model)(widths={group.name: 1 for group in model.groups})
        assert [name for name, _ in small.named_parameters()] == [
            name for name, _ in model.named_parameters()
        ]
        assert [name for name, _ in small.named_buffers()] == [
            name for name, _ in model.named_buffers()
        ]
        assert small(_inputs(model, 2)).shape == (2, model.classes)

    def test_all_channels_are_the_model_itself(self, model):
        torch.manual_seed(0)
        same = type(model)(widths={group.name: group.width for group in model.groups})
        for name, parameter in model.named_parameters():
            assert torch.equal(parameter, same.get_parameter(name))

    def test_each_group_changes_the_axes_that_it_declares_and_no_other(self, model):
        shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
        for group in model.groups:
            small = type(model)(widths={group.name: 1})
            for name, parameter in small.named_parameters():
                module, _, kind = name.rpartition(".")
                expected = list(shapes[name])
                if module in group.rows:
                    expected[0] = 1
                if module in group.columns and kind == "weight":
                    expected[1] //= group.width
                assert list(parameter.shape) == expected, (group.name, name)

    def test_what_is_no_group_or_no_width_is_refused_in_one_line(self, model):
        group = model.groups[0]
        with pytest.raises(InputError, match=r"widths must name groups of the model .*, got 'fc9'"):
            type(model)(widths={"fc9": 1})
        for width in (0, group.width + 1):
            with pytest.raises(
                InputError, match=rf"widths.{group.name} must be within 1 and {group.width}, got"
            ):
                type(model)(widths={group.name: width})


def test_the_shapes_on_file_are_those_of_the_models_and_data_sets():
    """`python -m training.structure.shapes` writes the file."""
    assert shapes.FILE.read_text(encoding="utf-8") == shapes.as_text(shapes.catalogue())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("personal", [None, "none", "head", "features"])
def test_a_layout_by_shapes_is_that_of_the_model(name, personal):
    spec = EngineSpec(
        model=name,
        personalised=personal not in (None, "none"),
        batch_size=8,
        device="cpu",
        personal=personal,
    )
    if name in ("linear", "logistic") and spec.personalised:
        for build in (spec.layout, spec.build_model):
            with pytest.raises(InputError, match="must have a personal and a shared part"):
                build()
    else:
        assert spec.layout() == spec.build_model()[1]


def test_another_form_is_made():
    spec = EngineSpec(
        model="cnn", personalised=False, batch_size=8, device="cpu", form=Form(width=0.5)
    )
    assert shapes.known_shapes("cnn", spec.form) is None
    assert spec.layout() == spec.build_model()[1]
