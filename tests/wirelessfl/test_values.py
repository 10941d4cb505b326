"""Scenario and values of a round: defaults, immutability, limits and messages."""

import dataclasses

import numpy as np
import pytest

from wirelessfl.errors import InputError
from wirelessfl.values import ChannelState, Demand, RoundRecord, Scenario


def test_the_default_is_scenario_s():
    scenario = Scenario()
    np.testing.assert_allclose(scenario.per_client("distance_m"), np.linspace(160.0, 530.0, 10))
    np.testing.assert_array_equal(scenario.per_client("cpu_hz"), np.full(10, 3e9))
    assert (scenario.deadline_s, scenario.bandwidth_hz, scenario.noise_power_w) == (
        0.025,
        20e6,
        1e-14,
    )


def test_values_cannot_be_edited():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Scenario().deadline_s = 1.0
    with pytest.raises(ValueError, match="read-only"):
        Scenario().per_client("cpu_hz")[0] = 1.0


@pytest.mark.parametrize("given", [(1e9, 2e9, 3e9), [1e9, 2e9, 3e9], np.array([1e9, 2e9, 3e9])])
def test_per_client_numbers(given):
    scenario = Scenario(clients=3, cpu_hz=given)
    assert scenario == Scenario(clients=3, cpu_hz=(1e9, 2e9, 3e9))
    assert hash(scenario) == hash(Scenario(clients=3, cpu_hz=(1e9, 2e9, 3e9)))
    np.testing.assert_array_equal(scenario.per_client("cpu_hz"), [1e9, 2e9, 3e9])


def test_one_client_stands_nearest():
    np.testing.assert_array_equal(Scenario(clients=1).per_client("distance_m"), [160.0])
    np.testing.assert_array_equal(
        Scenario(clients=2, distance_m=80.0).per_client("distance_m"), [80.0, 80.0]
    )


POSITIVE = (
    "deadline_s",
    "bandwidth_hz",
    "noise_power_w",
    "transmit_power_w",
    "cpu_hz",
    "cycles_per_weight",
)


@pytest.mark.parametrize("name", [*POSITIVE, "distance_m"])
@pytest.mark.parametrize(
    ("bad", "limit"), [(0.0, "above 0"), (-1.0, "above 0"), (np.nan, "finite"), (np.inf, "finite")]
)
def test_what_must_be_positive(name, bad, limit):
    with pytest.raises(InputError, match=rf"^scenario\.{name} must be {limit}, got {bad:g}$"):
        Scenario(**{name: bad})


@pytest.mark.parametrize(
    "name", [*POSITIVE, "distance_m", "downlink_rate_bps", "noise_psd_w_per_hz"]
)
def test_no_number_is_beyond_what_a_round_can_be_worked_out_with(name):
    for extreme, limit in ((1e-300, "at least"), (1e300, "at most")):
        with pytest.raises(InputError, match=rf"^scenario\.{name} must be {limit} .*, got "):
            Scenario(**{name: extreme})


@pytest.mark.parametrize(
    ("field", "most"), [("effective_capacitance", "1e\\+60"), ("clients", "1e\\+06")]
)
def test_the_largest_of_other_fields(field, most):
    with pytest.raises(InputError, match=rf"^scenario\.{field} must be at most {most}, got "):
        Scenario(**{field: 10**70})


@pytest.mark.parametrize("name", ["transmit_power_w", "cpu_hz", "cycles_per_weight", "distance_m"])
@pytest.mark.parametrize("kind", [tuple, list, np.array])
def test_a_list_must_hold_one_number_per_client(name, kind):
    with pytest.raises(
        InputError, match=rf"^scenario\.{name} must hold 3 values \(scenario.clients\), got 2$"
    ):
        Scenario(clients=3, **{name: kind([1.0, 2.0])})
    with pytest.raises(InputError, match=rf"^scenario\.{name} must be above 0, got -2$"):
        Scenario(clients=2, **{name: kind([1.0, -2.0])})


@pytest.mark.parametrize("clients", [0, -1, 2.0, True, "3", None])
def test_clients_is_a_whole_number_of_at_least_one(clients):
    with pytest.raises(
        InputError, match=r"^scenario.clients must be a whole number of at least 1, got "
    ):
        Scenario(clients=clients)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("distance_range_m", (530.0, 160.0)),
        ("distance_range_m", (1.0, 2.0, 3.0)),
        ("distance_range_m", (0.0, 1.0)),
        ("effective_capacitance", -1e-28),
        ("deadline_policy", "retry"),
        ("cpu_hz", "fast"),
    ],
)
def test_other_bad_fields(field, value):
    with pytest.raises(InputError, match=rf"^scenario\.{field} must be "):
        Scenario(**{field: value})


def test_a_known_channel_is_believed():
    state = ChannelState.perfect_csi(np.ones(3))
    np.testing.assert_array_equal(state.gain, state.believed_gain)


def test_the_same_demand_for_all():
    work = {
        "fixed_updates": 1,
        "prunable_updates": 2,
        "fixed_upload_bits": 3,
        "prunable_upload_bits": 4,
    }
    demand = Demand.same_for_all(3, **work, fixed_download_bits=5, prunable_download_bits=6)
    for value, field in enumerate(dataclasses.fields(demand), start=1):
        np.testing.assert_array_equal(getattr(demand, field.name), np.full(3, float(value)))


def test_nothing_is_downloaded_unless_asked_for():
    ones = np.ones(3)
    demand = Demand(
        fixed_updates=ones, prunable_updates=ones, fixed_upload_bits=ones, prunable_upload_bits=ones
    )
    np.testing.assert_array_equal(demand.fixed_download_bits, np.zeros(3))
    np.testing.assert_array_equal(demand.prunable_download_bits, np.zeros(3))


def test_a_downlink_that_is_not_given_takes_no_time():
    np.testing.assert_array_equal(
        1e9 / Scenario(clients=2).per_client("downlink_rate_bps"), np.zeros(2)
    )
    np.testing.assert_array_equal(
        Scenario(clients=2, downlink_rate_bps=5e6).per_client("downlink_rate_bps"), [5e6] * 2
    )


@pytest.mark.parametrize(
    ("rate", "words"), [(0.0, "above 0, got 0"), ((1e6, 2e6), "hold 10 values .* got 2")]
)
def test_a_bad_downlink_rate(rate, words):
    with pytest.raises(InputError, match=rf"^scenario\.downlink_rate_bps must (be )?{words}"):
        Scenario(downlink_rate_bps=rate)


def test_a_record_has_the_fields_of_rounds_jsonl_in_order():
    names = [field.name for field in dataclasses.fields(RoundRecord)]
    assert names == [
        *(
            "round",
            "clock_s",
            "round_s",
            "loss",
            "accuracy",
            "clients",
            "bandwidth_fraction",
            "pruning_ratio",
        ),
        *(
            "gain",
            "believed_gain",
            "planned_s",
            "latency_s",
            "delivered",
            "lost",
            "earlier",
            "retransmissions",
        ),
        *("band_utilisation",),
        *("uplink_bits", "downlink_bits", "flops", "energy_j", "extra"),
    ]
    record = RoundRecord(**{name: position for position, name in enumerate(names)})
    assert list(record.as_dict().items()) == list(zip(names, range(22), strict=True))
