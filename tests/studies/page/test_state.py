"""State of the page: the URL and back, controls with ranges, and one line for invalid values."""

import pytest

from studies.page.controls import FIELDS, controls, front_deadlines
from studies.page.page import Scenarios
from studies.page.state import PageState
from studies.presets import preset_files, scenario_tables
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.errors import InputError

SCENARIOS = Scenarios("digits", scenario_tables("digits"))
FULL = (
    "scenario=physical&scenario.deadline_s=40ms&scenario.bandwidth_hz=6MHz"
    "&scenario.transmit_power_dbm=20dBm&scenario.clients=7&channel.antennas=2"
    "&allocation.max_pruning_ratio=0.9&allocation.method=equal&channel.model=rayleigh"
    "&channel.csi=mean&scenario.deadline_policy=drop&run.seed=3&compare=exact"
)


def state(query):
    return PageState.parse(query, SCENARIOS)


@pytest.mark.parametrize("query", ["scenario=digits", FULL])
def test_a_query_is_parsed_and_written_again(query):
    assert state(query).query == query
    assert state(state(query).query).experiment == state(query).experiment


def test_an_empty_query_is_the_first_scenario():
    assert state("").experiment == from_tables(scenario_tables("digits"))


def test_every_value_of_the_url_reaches_the_experiment():
    found = state(FULL).experiment
    scenario = found.scenario
    assert (scenario.deadline_s, scenario.bandwidth_hz, scenario.clients) == (0.04, 6e6, 7)
    assert scenario.transmit_power_w == pytest.approx(0.1)
    assert (found.channel.antennas, found.channel.csi.csi) == (2, "mean")
    assert (found.max_pruning_ratio, scenario.deadline_policy, found.run.seed) == (0.9, "drop", 3)
    assert state(FULL).methods == ("equal", "exact")


def test_a_value_without_a_unit_is_in_that_of_the_scenario_file():
    assert state("scenario.deadline_s=0.03").experiment.scenario.deadline_s == 0.03


def test_a_field_that_the_channel_model_lacks_is_dropped():
    found = state("channel.model=trace&channel.antennas=2")
    assert found.query == "scenario=digits&channel.model=trace"


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("scenario=digit", "URL parameter scenario must be one of digits"),
        (
            "scenario.deadline=3",
            "'scenario.deadline' is not known (did you mean scenario.deadline_s?)",
        ),
        ("scenario.cpu_hz=3", "URL parameter 'scenario.cpu_hz' is not known"),
        ("channel.file=secrets.csv", "URL parameter 'channel.file' is not known"),
        ("scenario.deadline_s=abc", "scenario.deadline_s must be a number, got 'abc'"),
        ("scenario.deadline_s=-1ms", "scenario.deadline_s must be above 0, got -0.001"),
        ("scenario.deadline_s=nan", "scenario.deadline_s must be"),
        ("scenario.deadline_s=5MHz", "scenario.deadline_s takes s, ms"),
        ("scenario.deadline_s=", "URL parameter 'scenario.deadline_s' must have a value"),
        ("scenario.deadline_s=1ms,2ms", "scenario.deadline_s must be one value, got '1ms,2ms'"),
        ("scenario.clients=1001", "scenario.clients on the page must be at most 1000, got 1001"),
        ("scenario.clients=2.5", "scenario.clients must be"),
        ("scenario.clients=2&scenario.clients=3", "'scenario.clients' must be given once"),
        ("allocation.method=exakt", "allocation.method: "),
        ("compare=exakt", "URL parameter compare must be one of"),
        ("channel.csi=all", "channel.csi must be one of"),
        ("scenario=" + "x" * 3000, "must have at most 2000 characters, got 3009"),
    ],
)
def test_an_invalid_url_is_one_line(query, line):
    with pytest.raises(InputError) as error:
        assert state(query).experiment is None
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_every_field_has_a_control_with_its_value_within_the_slider():
    digits = from_tables(scenario_tables("digits"))
    found = {one.name: one for one in controls(digits, digits)}
    assert tuple(found) == FIELDS
    assert (found["scenario.deadline_s"].value, found["scenario.deadline_s"].unit) == ("25", "ms")
    assert found["scenario.transmit_power_dbm"].label == "transmit power (dBm)"
    assert "tr38901-umi" in found["channel.model"].choices
    for one in found.values():
        assert one.choices or one.low <= float(one.value) <= one.high
        assert one.value in one.choices if one.choices else one.step > 0


def test_the_ends_of_a_slider_are_whole_steps():
    for name in preset_files():
        experiment = from_tables(scenario_tables(name))
        for one in controls(experiment, experiment):
            if not one.choices:
                assert (one.high - one.low) / one.step == pytest.approx(
                    round((one.high - one.low) / one.step)
                )


def test_a_power_of_each_client_leaves_its_control_empty():
    scenario = {"clients": 2, "transmit_power_w": [0.1, 0.2]}
    experiment = from_tables({**scenario_tables("digits"), "scenario": scenario})
    found = {one.name: one for one in controls(experiment, experiment)}
    assert found["scenario.transmit_power_dbm"].value == ""


def test_the_front_has_the_deadlines_of_the_slider():
    digits = from_tables(scenario_tables("digits"))
    deadline = controls(digits, digits)[0]
    assert front_deadlines(digits) == pytest.approx((deadline.low / 1e3, deadline.high / 1e3))
