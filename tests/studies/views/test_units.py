"""Labels of scenario fields: a wrong factor for a unit would give wrong figures."""

import numpy as np
import pytest

from studies.views.whatif.units import label_of, shown, value_of


@pytest.mark.parametrize(
    ("name", "value", "label", "written"),
    [
        ("scenario.deadline_s", 0.02, "deadline (ms)", "deadline 20 ms"),
        ("scenario.bandwidth_hz", 20e6, "bandwidth (MHz)", "bandwidth 20 MHz"),
        ("scenario.cpu_hz", 3e9, "CPU (GHz)", "CPU 3 GHz"),
        ("channel.carrier_hz", 2e9, "carrier (GHz)", "carrier 2 GHz"),
        ("scenario.noise_psd_w_per_hz", 5e-21, "noise PSD (W/Hz)", "noise PSD 5e-21 W/Hz"),
        ("scenario.downlink_rate_bps", 2e8, "downlink rate (Mbit/s)", "downlink rate 200 Mbit/s"),
        ("scenario.max_bps_hz", 5.5, "cap (bit/s/Hz)", "cap 5.5 bit/s/Hz"),
        ("scenario.transmit_power_dbm", 28.0, "transmit power (dBm)", "transmit power 28 dBm"),
        ("channel.antennas", 4, "antennas", "antennas 4"),
    ],
)
def test_labels(name, value, label, written):
    assert label_of(name) == label
    assert value_of(name, value) == written
    assert f"{shown(name, np.array(value)):.4g}" == written.split()[-2 if "(" in label else -1]
