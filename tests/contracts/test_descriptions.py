"""Every key of a scenario file has a description, with its unit where it has one."""

import re

import pytest

from studies.views.describe.description import SECTIONS
from wirelessfl import plugins
from wirelessfl.config.descriptions import describe_fields

UNITS = {  # ending of a field's name -> its unit in the description
    "_m_s": "m/s",
    "_bps_hz": r"bit/s/Hz|\(bit/s\)/Hz",
    "_w_per_hz": "W/Hz",
    "_bps": "bit/s",
    "_bits": r"\bbits?\b",
    "_dbm": "dBm",
    "_db": "dB",
    "_hz": r"Hz|1/s",
    "_w": r"\bW\b|[Ww]att",
    "_m": r"\bm\b|metres",
    "_s": r"\bs\b|[Ss]econds",
}
SELECTED = [
    (kind, name)
    for kind in ("channels", "allocators", "algorithms")
    for name in plugins.names(kind)
]


def check(cls):
    fields = describe_fields(cls)
    assert [field.name for field in fields if not field.text] == []
    for field in fields:
        ending = next((ending for ending in UNITS if field.name.endswith(ending)), None)
        if ending is not None and field.type != "true or false":
            assert re.search(UNITS[ending], field.text), (field.name, field.text)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_of_a_section_is_described(section):
    check(SECTIONS[section])


@pytest.mark.parametrize(("kind", "name"), SELECTED)
def test_every_field_of_a_plugin_is_described(kind, name):
    if name == "sionna-tdl":
        pytest.importorskip("sionna")
    check(plugins.load(kind, name))
