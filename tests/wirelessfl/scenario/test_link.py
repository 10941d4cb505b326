"""Link: tables of the standards, efficiency, packet errors and power control."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wirelessfl.errors import InputError
from wirelessfl.radio.nr_tables import CQI, MCS
from wirelessfl.radio.snr_and_rate import open_loop_power_dbm
from wirelessfl.scenario.link import RATE_MODELS, Link

CHECKED = settings(max_examples=60, deadline=None, derandomize=True)
CQI_BPS_HZ = (
    *(0.1523, 0.2344, 0.3770, 0.6016, 0.8770, 1.1758, 1.4766, 1.9141),
    *(2.4063, 2.7305, 3.3223, 3.9023, 4.5234, 5.1152, 5.5547),
)
links = st.builds(
    Link,
    rate_model=st.sampled_from(RATE_MODELS),
    snr_gap_db=st.sampled_from([0.0, 3.0]),
    max_bps_hz=st.sampled_from([None, 4.8]),
)


def test_the_tables_are_the_standards():
    """Efficiencies printed in the rows of TS 38.214, and the rows of the MCS of the reference."""
    np.testing.assert_allclose([bits * rate / 1024 for bits, rate in CQI], CQI_BPS_HZ, atol=5.1e-5)
    rows = {
        0: (2, 120),
        4: (2, 308),
        9: (2, 679),
        10: (4, 340),
        16: (4, 658),
        17: (6, 438),
        20: (6, 567),
    }
    assert {index: MCS[index] for index in rows} == rows
    assert MCS[27:] == ((6, 910), (6, 948))
    assert MCS[4:29:2][:3] == CQI[3:6]  # every CQI from 2 on is an MCS too
    assert set(CQI[1:]) - set(MCS) == set()


@CHECKED
@given(links, st.lists(st.floats(0, 1e9), min_size=2, max_size=20))
def test_more_signal_is_never_less_rate(link, snr):
    efficiency = link.efficiency_bps_hz(np.sort(snr))
    assert np.all(np.diff(efficiency) >= 0)
    assert np.all(efficiency <= np.log1p(np.sort(snr) / link.snr_gap) / np.log(2.0) * (1 + 1e-12))


def test_shannon_with_gap_and_cap():
    snr = np.array([0.0, 3.0, 6.0, 30.0, 1e6])
    np.testing.assert_allclose(Link().efficiency_bps_hz(snr), np.log2(1 + snr), rtol=1e-15)
    half = Link(snr_gap_db=10 * np.log10(2.0)).efficiency_bps_hz(snr)
    np.testing.assert_allclose(half, np.log2(1 + snr / 2), rtol=1e-12)
    assert Link(max_bps_hz=4.0).efficiency_bps_hz(snr).tolist() == [
        0.0,
        2.0,
        pytest.approx(np.log2(7)),
        4.0,
        4.0,
    ]


@pytest.mark.parametrize(("rate_model", "steps"), [("cqi", 15), ("mcs", 29)])
def test_a_table_steps_at_the_snr_that_shannon_needs(rate_model, steps):
    rows = np.sort([bits * rate / 1024 for bits, rate in (CQI if rate_model == "cqi" else MCS)])
    link = Link(rate_model=rate_model, snr_gap_db=3.0)
    at = link.snr_gap * (2.0**rows - 1.0)
    np.testing.assert_array_equal(link.efficiency_bps_hz(at * (1 + 1e-9)), rows)
    np.testing.assert_array_equal(link.efficiency_bps_hz(at * (1 - 1e-9)), [0.0, *rows[:-1]])
    assert len(set(link.efficiency_bps_hz(np.logspace(-3, 5, 20_000)))) == steps + 1


def test_waterfall_by_hand():
    """Loss q = 1 - exp(-0.023 / SNR): 2.27 % at 0 dB, everything without a signal.

    Packets are sent 1 / (1 - q) times.
    """
    loss = Link(waterfall_threshold=0.023).waterfall_loss(np.array([0.0, 0.023, 1.0, 1e12]))
    np.testing.assert_allclose(loss, [1.0, 1 - np.exp(-1), 0.0227375, 2.3e-14], rtol=1e-5)


@pytest.mark.parametrize(
    ("path_loss_db", "blocks", "alpha", "p0_dbm", "expected_dbm"),
    [(100, 10, 1, -90, 20), (100, 10, 0.8, -75, 15), (130, 50, 0.8, -75, 23), (90, 1, 1, -90, 0)],
)
def test_open_loop_power(path_loss_db, blocks, alpha, p0_dbm, expected_dbm):
    found_dbm = open_loop_power_dbm(path_loss_db, blocks, alpha, p0_dbm, 23)
    assert float(found_dbm) == pytest.approx(expected_dbm, abs=1e-12)


def test_power_classes_in_watt():
    assert Link(power_class="pc3").class_limit_w == pytest.approx(0.1995262, rel=1e-6)
    assert Link(power_class="pc2").class_limit_w == pytest.approx(0.3981072, rel=1e-6)
    assert Link().class_limit_w == np.inf


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("rate_model", "lte", "scenario.rate_model must be one of shannon, cqi, mcs; got 'lte'"),
        ("snr_gap_db", -1.0, "scenario.snr_gap_db must be at least 0, got -1"),
        ("max_bps_hz", 0.0, "scenario.max_bps_hz must be at least 0.001, got 0"),
        (
            "subcarrier_spacing_hz",
            120e3,
            "scenario.subcarrier_spacing_hz must be one of 15000, 30000, 60000; got",
        ),
        (
            "packet_error",
            "some",
            "scenario.packet_error must be one of none, outage, waterfall; got 'some'",
        ),
        ("waterfall_threshold", 0.0, "scenario.waterfall_threshold must be at least 1e-30, got 0"),
        (
            "max_transmissions",
            0,
            "scenario.max_transmissions must be a whole number of at least 1, got 0",
        ),
        (
            "max_transmissions",
            10**9,
            "scenario.max_transmissions must be at most 1000, got 1000000000",
        ),
        ("packet_bits", 1e-3, "scenario.packet_bits must be at least 1, got 0.001"),
        ("power_class", "pc9", "scenario.power_class must be one of none, pc3, pc2; got 'pc9'"),
        (
            "path_loss_compensation",
            1.1,
            "scenario.path_loss_compensation must be at most 1, got 1.1",
        ),
    ],
)
def test_errors_are_one_line(field, value, message):
    with pytest.raises(InputError) as caught:
        Link(**{field: value})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
