"""Discovery of plug-ins: packages, files from outside and entry points."""

import sys

import pytest
from helpers import plugin_folder

from wirelessfl import plugins
from wirelessfl.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder of plug-ins from outside."""
    monkeypatch.setenv("WIRELESSFL_PLUGINS", str(tmp_path))
    return tmp_path


def write(folder, kind, name, text):
    (folder / kind).mkdir(exist_ok=True)
    (folder / kind / f"{name}.py").write_text(text)


def test_names_are_the_files_of_the_kind():
    channels = plugins.names("channels")
    assert {"static", "rayleigh"} <= set(channels)
    assert channels == sorted(channels)
    assert not any(name.startswith(("_", "-")) for name in channels)


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_every_kind_has_names(kind):
    assert all(name == name.lower() and "_" not in name for name in plugins.names(kind))


def test_load_gives_the_class_and_name_of_its_name():
    cls = plugins.load("channels", "rayleigh")
    assert cls.__name__ == "Rayleigh"
    assert cls.__module__ == "channel_models.rayleigh"
    assert plugins.name_of(cls) == "rayleigh"


def test_a_file_is_a_plugin_of_its_name(folder):
    write(folder, "channels", "two_ray_ground", "Helper = int\nclass TwoRayGround: pass\n")
    write(folder, "channels", "_shared", "raise RuntimeError\n")
    assert "two-ray-ground" in plugins.names("channels")
    assert "shared" not in plugins.names("channels")
    assert "two-ray-ground" not in plugins.names("allocators")
    cls = plugins.load("channels", "two-ray-ground")
    assert cls.__name__ == "TwoRayGround"
    assert plugins.name_of(cls) == "two-ray-ground"
    assert plugins.load("channels", "two-ray-ground") is cls


def test_a_function_is_a_plugin_and_what_a_file_imports_is_not(folder):
    write(
        folder,
        "datasets",
        "tiny_set",
        "from dataclasses import dataclass\ndef tiny_set(): return 7\n",
    )
    assert plugins.load("datasets", "tiny-set")() == 7
    write(folder, "datasets", "counter", "from collections import Counter\n")
    with pytest.raises(InputError, match=r"counter.py must define Counter$"):
        plugins.load("datasets", "counter")


def test_a_study_is_its_module(folder):
    write(folder, "studies", "wfl_table9", "CLAIMS = ('more is more',)\n")
    assert plugins.load("studies", "wfl-table9").CLAIMS == ("more is more",)


def test_listing_imports_no_plugin(folder):
    write(folder, "channels", "costly", "raise RuntimeError('imported')\n")
    assert "costly" in plugins.names("channels")
    with pytest.raises(InputError, match=r"costly\.py cannot be loaded: RuntimeError: imported"):
        plugins.load("channels", "costly")


def test_a_file_without_its_object_is_one_line(folder):
    write(folder, "channels", "two_ray", "class Ray: pass\n")
    with pytest.raises(InputError, match=r"^plug-in file .*two_ray.py must define TwoRay$"):
        plugins.load("channels", "two-ray")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raileigh", r"^channel 'raileigh' is not known \(did you mean 'rayleigh'\?\)$"),
        ("xyz", r"^channel 'xyz' is not known; there are .*rayleigh.*static"),
        ("_path_loss", r"^channel '_path_loss' is not known; there are "),
    ],
)
def test_an_unknown_name(name, message):
    with pytest.raises(InputError, match=message):
        plugins.load("channels", name)


def test_an_unknown_kind():
    with pytest.raises(
        InputError, match=r"^kind must be one of channels, .*studies; got 'channel'$"
    ):
        plugins.names("channel")


def test_a_misspelt_folder_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("WIRELESSFL_PLUGINS", str(tmp_path / "pluggins"))
    with pytest.raises(
        InputError, match=r"^WIRELESSFL_PLUGINS must name a folder, got '.*pluggins'$"
    ):
        plugins.names("channels")


class InstalledPlugin:
    name = "from-afar"

    def load(self):
        return type("Anything", (), {})


def test_entry_points_are_plugins(monkeypatch):
    groups = []

    def entry_points(*, group):
        groups.append(group)
        return [InstalledPlugin()] if group == "wirelessfl.channels" else []

    monkeypatch.setattr(plugins, "entry_points", entry_points)
    assert "from-afar" in plugins.names("channels")
    assert "from-afar" not in plugins.names("allocators")
    assert groups == ["wirelessfl.channels", "wirelessfl.allocators"]
    cls = plugins.load("channels", "from-afar")
    assert cls.__name__ == "Anything"
    assert plugins.name_of(cls) == "from-afar"


def test_the_dummies_are_listed_by_kind(monkeypatch):
    plugin_folder.use(monkeypatch)
    for kind, name in (
        ("channels", "two-state"),
        ("allocators", "even"),
        ("algorithms", "counting"),
    ):
        assert name in plugins.names(kind)
        cls = plugins.load(kind, name)
        assert plugins.name_of(cls) == name
        assert sys.modules[cls.__module__].__name__ == cls.__module__
    monkeypatch.delenv("WIRELESSFL_PLUGINS")
    assert "two-state" not in plugins.names("channels")


def test_a_plugin_from_outside_does_not_replace_one_that_is_there(monkeypatch, tmp_path):
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels" / "rayleigh.py").write_text("class Rayleigh: ...")
    plugin_folder.use(monkeypatch, tmp_path)
    with pytest.raises(InputError, match=r"^plug-in 'rayleigh' of kind channels is there twice"):
        plugins.load("channels", "rayleigh")
