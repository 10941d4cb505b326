"""Numbers with units in scenario files, `--set` and `--vary`."""

import pytest

from studies.views.whatif.vary import Vary
from wirelessfl.config.scenario_file import from_tables, parse_setting
from wirelessfl.errors import InputError
from wirelessfl.units import parse_quantity


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("scenario.deadline_s", "25ms", 0.025),
        ("scenario.bandwidth_hz", "4.5 MHz", 4.5e6),
        ("scenario.transmit_power_w", "30dBm", 1.0),
        ("scenario.transmit_power_w", "200mW", 0.2),
        ("scenario.noise_figure_db", "7dB", 7.0),
        ("scenario.downlink_rate_bps", "1e2 Mbit/s", 1e8),
        ("allocation.max_pruning_ratio", "90%", 0.9),
        ("scenario.deadline_s", "0.025", None),
        ("training.dataset", "cifar10", None),
    ],
)
def test_a_quantity_is_in_the_unit_of_its_field(field, text, value):
    assert parse_quantity(field, text) == (value if value is None else pytest.approx(value))


def test_units_are_understood_wherever_a_number_stands():
    tables = {
        "scenario": {
            "clients": 2,
            "deadline_s": "20ms",
            "transmit_power_dbm": "23dBm",
            "distance_m": ["0.1km", 250],
        },
        "allocation": {"max_pruning_ratio": 0.9},
        "channel": {"model": "rayleigh", "carrier_hz": "3.5GHz"},
    }
    experiment = from_tables(tables)
    assert experiment.scenario.deadline_s == 0.02
    assert experiment.scenario.transmit_power_w == pytest.approx(10**-0.7)
    assert experiment.scenario.distance_m == (100.0, 250.0)
    section, field, value = parse_setting("scenario.bandwidth_hz=5MHz")
    assert from_tables({section: {field: value}}).scenario.bandwidth_hz == 5e6
    vary = Vary.parse("scenario.bandwidth_hz=5MHz:20MHz:4")
    assert vary.values.tolist() == [5e6, 1e7, 1.5e7, 2e7]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("deadline_s", "20MHz", "scenario.deadline_s takes s, ms, us, min, h; got '20MHz'"),
        ("clients", "4m", "scenario.clients takes numbers without a unit; got '4m'"),
        ("deadline_s", "soon", "scenario.deadline_s must be a number, got 'soon'"),
    ],
)
def test_a_unit_that_does_not_fit_is_named(field, value, words):
    with pytest.raises(InputError) as error:
        from_tables({"scenario": {field: value}})
    assert str(error.value) == words
