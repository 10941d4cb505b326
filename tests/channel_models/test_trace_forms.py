"""Traces in the forms of published measurements: columns, separators, units, time, no link."""

import tracemalloc

import numpy as np
import pytest

from channel_models._csi import Csi
from channel_models._trace_file import Format
from channel_models.trace import Trace
from wirelessfl.cell.closed_form import full_band_rate_bps, full_band_snr
from wirelessfl.config.scenario_file import from_tables, to_tables
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams
from wirelessfl.scenario.link import Link
from wirelessfl.scenario.medium import Medium
from wirelessfl.values import ChannelState, Scenario

TWO = Scenario(clients=2, distance_m=(100.0, 200.0))
GAIN = np.array([[1e-11, 2.5e-12], [3e-11, 4e-12], [5e-11, 6.25e-12]])

# The form of the MTU 5G measurements: a row a second, RSRP of three modems in dBm, 0 where there is no NR.
MTU = """\
# three modems on one vehicle
Time_s;Latitude;RSRP_dBm_modem_A;RSRP_dBm_modem_B;RSRP_dBm_modem_C;
1575555901;51.8;-95;-101.5;0;
1575555902;51.8;-97;0;0;
1575555903;51.9;-99;-104;-110;
"""
# The form of the UCC 5G data set: one file a session, kbit/s of the second, 0 in many of them.
UCC = """\
Timestamp,time_s,Speed,NetworkMode,RSRP,DL_bitrate,UL_bitrate
2019.12.16_13.40.04,0,0,5G,-98,1200,0
2019.12.16_13.40.05,1,3,5G,-,40213,310
2019.12.16_13.40.06,2,9,LTE,-104,0,0
2019.12.16_13.40.07,3,9,5G,-101,83000,955
2019.12.16_13.40.08,4,8,5G,-100,0,
"""


def written(folder, text, **form):
    """A trace of the text as a file."""
    (folder / "trace.csv").write_text(text)
    return Trace(file=str(folder / "trace.csv"), repeat=True, form=Format(**form))


def gains(model, scenario, rounds):
    return np.array([model.sample(scenario, Streams(0, round)).gain for round in range(rounds)])


def lines(separator, rows):
    return "\n".join(separator.join(str(cell) for cell in row) for row in rows) + "\n"


FORMS = {
    "columns in another order and case": lines(
        ",",
        [["Gain", "Client", "ROUND"], *([GAIN[r, c], c, r + 1] for r in (2, 0, 1) for c in (1, 0))],
    ),
    "rounds and clients as floats": lines(
        ",",
        [
            ["round", "client", "gain"],
            *([f"{r + 1}.0", f"{c}.0", GAIN[r, c]] for r in range(3) for c in (0, 1)),
        ],
    ),
    "clients by name": lines(
        ",",
        [
            ["round", "client", "gain"],
            *([r + 1, name, GAIN[r, c]] for r in range(3) for c, name in enumerate("ba")),
        ],
    ),
    "semicolons": lines(";", GAIN),
    "tabs": lines("\t", GAIN),
    "blanks": lines("   ", GAIN),
    "a separator at the end of each line": lines(",", [[*row, ""] for row in GAIN]),
    "the same under a header": lines(",", [["a", "b", ""], *([*row, ""] for row in GAIN)]),
    "comments": "# two clients\n% in linear gain\n"
    + lines(",", GAIN).replace("\n", " # second\n", 1),
    "quotes and blanks": lines(
        " , ", [['"a"', '"b"'], *([f'"{one}"', other] for one, other in GAIN)]
    ),
    "an index as pandas writes it": lines(
        ",", [["", "a", "b"], *([r, *GAIN[r]] for r in range(3))]
    ),
    "rounds in a column": lines(
        ",", [["round", "a", "b"], *([r + 1, *GAIN[r]] for r in (1, 2, 0))]
    ),
    "in dB": lines(",", [["gain_db_0", "gain_db_1"], *(10 * np.log10(GAIN))]),
    "as path loss": lines(",", [["path_loss_db_0", "path_loss_db_1"], *(-10 * np.log10(GAIN))]),
    "with what else was measured": lines(
        ",", [["speed", "gain_0", "gain_1"], *([3, *row] for row in GAIN)]
    ),
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_the_same_gains_in_every_form(text, tmp_path):
    np.testing.assert_allclose(gains(written(tmp_path, text), TWO, 3), GAIN, rtol=1e-12)


DECLARED = {
    "gain_db": 10 * np.log10(GAIN),
    "path_loss_db": -10 * np.log10(GAIN),
    "rsrp_dbm": 10 * np.log10(GAIN) + 18.0,
}


@pytest.mark.parametrize("unit", DECLARED)
def test_a_declared_unit(unit, tmp_path):
    model = written(tmp_path, lines(",", DECLARED[unit]), unit=unit, reference_power_dbm=18.0)
    np.testing.assert_allclose(gains(model, TWO, 3), GAIN, rtol=1e-12)


@pytest.mark.parametrize("noise", [{}, {"noise_psd_w_per_hz": 1e-20}, {"noise_figure_db": 5.0}])
def test_a_recorded_snr_is_that_of_the_scenario(noise, tmp_path):
    scenario = Scenario(clients=2, transmit_power_w=(0.1, 0.2), **noise)
    snr_db = np.array([[10.0, 0.0], [-5.0, 23.0]])
    model = written(tmp_path, "snr_db_0,snr_db_1\n10,0\n-5,23\n")
    for round, gain in enumerate(gains(model, scenario, 2)):
        found = full_band_snr(scenario, ChannelState.perfect_csi(gain), gain)
        np.testing.assert_allclose(10 * np.log10(found), snr_db[round], atol=1e-9)


@pytest.mark.parametrize(
    ("unit", "factor"), [("rate_bps", 1.0), ("rate_kbps", 1e3), ("rate_mbps", 1e6)]
)
@pytest.mark.parametrize("gap_db", [0.0, 3.0])
def test_a_recorded_rate_is_that_of_the_whole_band(unit, factor, gap_db, tmp_path):
    scenario = Scenario(clients=2, link=Link(snr_gap_db=gap_db))
    rates = np.array([[3e7, 1e4], [1e6, 5e7]])
    model = written(tmp_path, lines(",", [["a", "b"], *(rates / factor)]), unit=unit)
    for round, gain in enumerate(gains(model, scenario, 2)):
        found = full_band_rate_bps(scenario, ChannelState.perfect_csi(gain), gain)
        np.testing.assert_allclose(found, rates[round], rtol=1e-9)


def test_what_a_rate_cannot_be_is_guessed_at(tmp_path):
    scenario = Scenario(clients=1, bandwidth_hz=1e6)
    model = written(tmp_path, "rate_mbps\n955\n40213\n")
    with pytest.raises(
        InputError,
        match=r"rate_mbps of client 0 .* gain of at most 1 .*look like rate_kbps or rate_bps",
    ):
        model.sample(scenario, Streams(0))


def test_a_rate_needs_a_transmit_power_that_is_known(tmp_path):
    scenario = Scenario(clients=1, link=Link(power_control="open-loop"))
    with pytest.raises(
        InputError, match=r"^scenario.power_control must be fixed for a trace in snr_db"
    ):
        written(tmp_path, "snr_db\n10\n").sample(scenario, Streams(0))


def test_rsrp_needs_its_reference_and_stays_below_it(tmp_path):
    text = "rsrp_dbm\n-90\n-20\n"
    with pytest.raises(
        InputError, match=r"^channel.reference_power_dbm must be given for rsrp_dbm"
    ):
        written(tmp_path, text).sample(Scenario(clients=1), Streams(0))
    with pytest.raises(
        InputError,
        match=r"row 3: rsrp_dbm of client 0 must be at most channel.reference_power_dbm, -30",
    ):
        written(tmp_path, text, reference_power_dbm=-30.0).sample(Scenario(clients=1), Streams(0))


def test_the_form_of_mtu_5g(tmp_path):
    model = written(tmp_path, MTU, reference_power_dbm=15.0)
    scenario = Scenario(clients=3, deadline_s=0.5)
    rsrp_dbm = np.array([[-95, -101.5, -np.inf], [-97, -np.inf, -np.inf], [-99, -104, -110]])
    expected = np.repeat(10.0 ** ((rsrp_dbm - 15.0) / 10.0), 2, axis=0)
    np.testing.assert_allclose(gains(model, scenario, 6), expected, rtol=1e-12)
    np.testing.assert_allclose(
        model.mean_gain(scenario, Streams(0)), expected.mean(axis=0), rtol=1e-12
    )
    assert model.period(scenario) == 6


def test_the_form_of_ucc_5g(tmp_path):
    model = written(tmp_path, UCC, columns=("UL_bitrate",), unit="rate_kbps")
    scenario = Scenario(clients=1, deadline_s=1.0)
    found = gains(model, scenario, 5)
    rate_bps = full_band_rate_bps(scenario, ChannelState.perfect_csi(found), found)
    np.testing.assert_allclose(rate_bps[:, 0], [0, 310e3, 0, 955e3, 0], rtol=1e-9)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((), r"row 2: a value must be a finite number, got '2019.12.16_13.40.04'"),
        (("ul_rate",), r"channel.columns must be columns of .*timestamp.*, got 'ul_rate'"),
        (("RSRP", "UL_bitrate"), r"row 3: rsrp_dbm of client 1 must be .*, got 310"),
    ],
)
def test_columns_that_are_not_declared(columns, message, tmp_path):
    model = written(tmp_path, UCC, columns=columns, unit="rsrp_dbm", reference_power_dbm=15.0)
    with pytest.raises(InputError, match=message):
        model.sample(Scenario(clients=1), Streams(0))


def test_rows_hold_over_rounds_and_coherence_blocks(tmp_path):
    text = "time_s,gain_0\n100,1e-9\n100.5,2e-9\n102,3e-9\n"
    scenario = Scenario(clients=1, deadline_s=0.25, medium=Medium(coherence_s=0.125))
    model = written(tmp_path, text)
    expected = (
        [1e-9] * 2 + [2e-9] * 6 + [3e-9] * 4
    )  # the last row lasts as the median row does, 1 s
    assert gains(model, scenario, 13)[:, 0].tolist() == [*expected, 1e-9]
    blocks = model.sample(scenario, Streams(0, 1)).block_gain
    assert [float(blocks(block)[0]) for block in (0, 1, 2, 13, 14, 22)] == [
        1e-9,
        1e-9,
        2e-9,
        2e-9,
        3e-9,
        1e-9,
    ]
    np.testing.assert_allclose(
        model.mean_gain(scenario, Streams(0)), [(0.5 * 1 + 1.5 * 2 + 1.0 * 3) * 1e-9 / 3]
    )
    slower = Trace(file=model.file, repeat=True, round_interval_s=1.0)
    assert gains(slower, scenario, 3)[:, 0].tolist() == [1e-9, 2e-9, 3e-9]
    assert (model.period(scenario), slower.period(scenario)) == (12, 3)


def test_a_trace_in_time_ends(tmp_path):
    model = written(tmp_path, "time_s,gain_0\n0,1e-9\n1,2e-9\n")
    once = Trace(file=model.file, round_interval_s=0.1)
    assert once.period(Scenario(clients=1)) is None
    assert gains(once, Scenario(clients=1), 20)[[9, 10, 19], 0].tolist() == [1e-9, 2e-9, 2e-9]
    with pytest.raises(
        InputError,
        match=r"holds 2 s, got round 21 at 2 s: set channel.repeat = true to start over$",
    ):
        once.sample(Scenario(clients=1), Streams(0, 20))


def test_each_client_holds_its_own_latest_row(tmp_path):
    text = "time_s,client,gain\n0,a,1e-9\n0.4,b,2e-9\n1,a,3e-9\n1.5,b,\n2,a,4e-9\n"
    model = written(tmp_path, text)
    scenario = Scenario(clients=2, deadline_s=0.5)
    expected = [[1e-9, 0], [1e-9, 2e-9], [3e-9, 2e-9], [3e-9, 0], [4e-9, 0]]
    assert gains(model, scenario, 5).tolist() == expected


def test_arrays_in_other_units_and_in_time(tmp_path):
    np.savez(
        tmp_path / "trace.npz", path_loss_db=-10 * np.log10(GAIN[::-1]), time_s=[2.0, 1.0, 0.0]
    )
    model = Trace(file=str(tmp_path / "trace.npz"), round_interval_s=1.0)
    np.testing.assert_allclose(gains(model, TWO, 3), GAIN, rtol=1e-12)


def test_the_quantile_of_held_rows_is_that_over_time(tmp_path):
    model = written(tmp_path, "time_s,gain_0\n0,3e-9\n1,1e-9\n4,2e-9\n5,4e-9\n")
    believed = [
        float(
            Trace(file=model.file, csi=Csi(csi="quantile", outage=outage))
            .sample(Scenario(clients=1), Streams(0))
            .believed_gain[0]
        )
        for outage in (0.4, 0.6, 0.7, 0.9)
    ]
    assert believed == [1e-9, 2e-9, 3e-9, 4e-9]  # 3 s, 1 s, 1 s and, as the median row, 1 s of 6 s


@pytest.mark.parametrize("csi", ["perfect", "mean", "quantile"])
def test_a_round_works_on_its_own_rows_however_long_the_trace(csi, tmp_path):
    """A pass over the rows, as sorting for a quantile, would take memory for all of them."""
    peak_bytes = {}
    for rows in (100, 100_000):
        file = tmp_path / f"{rows}.npz"
        np.savez(file, gain=1e-10 * np.random.default_rng(0).standard_exponential((rows, 10)))
        model = Trace(file=str(file), csi=Csi(csi=csi))
        scenario = Scenario(clients=10)
        model.sample(scenario, Streams(0))  # reads the file
        tracemalloc.start()
        for round_index in range(3):
            model.sample(scenario, Streams(0, round_index))
        peak_bytes[rows] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    column_bytes = 8 * 100_000
    assert peak_bytes[100_000] < peak_bytes[100] + column_bytes / 10


def test_the_fields_of_a_form_stand_in_the_channel_section(tmp_path):
    model = written(tmp_path, UCC, columns=("UL_bitrate",), unit="rate_kbps", separator="comma")
    table = {"model": "trace", "file": model.file, "repeat": True, "columns": ["UL_bitrate"]}
    experiment = from_tables({"channel": {**table, "unit": "rate_kbps", "separator": "comma"}})
    assert experiment.channel == model
    assert from_tables(to_tables(experiment)) == experiment
    with pytest.raises(InputError, match=r"^channel.unit must be one of .*rsrp_dbm"):
        from_tables({"channel": {**table, "unit": "rsrp_dbw"}})
    with pytest.raises(InputError, match=r"^channel.separator must be one of auto, comma"):
        Format(separator="pipe")
