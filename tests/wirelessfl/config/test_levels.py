"""Powers in dBm and densities in dBm/Hz in scenario files."""

import pytest

from studies.views.whatif.vary import Vary
from wirelessfl.config.scenario_file import from_tables, merge
from wirelessfl.errors import InputError


def test_a_noise_density_in_dbm_per_hz_is_one_in_watt_per_hz():
    """-174 dBm/Hz is 10^-20.4 W/Hz."""
    experiment = from_tables({"scenario": {"noise_psd_dbm_per_hz": -174}})
    assert experiment.scenario.noise_psd_w_per_hz == pytest.approx(10**-20.4, rel=1e-12)


def test_a_density_takes_the_place_of_the_other_unit():
    tables = {"scenario": {"noise_psd_w_per_hz": 1e-19}}
    changed = merge(tables, {"scenario": {"noise_psd_dbm_per_hz": -174}})
    assert changed["scenario"] == {"noise_psd_dbm_per_hz": -174}
    back = merge(changed, {"scenario": {"noise_psd_w_per_hz": 1e-19}})
    assert back["scenario"] == {"noise_psd_w_per_hz": 1e-19}


def test_both_units_at_once_are_refused_in_one_line():
    both = {"noise_psd_w_per_hz": 1e-19, "noise_psd_dbm_per_hz": -174}
    with pytest.raises(InputError) as caught:
        from_tables({"scenario": both})
    assert str(caught.value) == (
        "scenario.noise_psd_dbm_per_hz and scenario.noise_psd_w_per_hz are the same field: give one"
    )


def test_a_density_is_varied_in_either_unit():
    axis = Vary.parse("scenario.noise_psd_dbm_per_hz=-174,-170")
    assert axis.si_field == "noise_psd_w_per_hz"
    found = [axis.of(from_tables({}), float(value)) for value in axis.values]
    densities = [experiment.scenario.noise_psd_w_per_hz for experiment in found]
    assert densities == pytest.approx([10**-20.4, 10**-20.0], rel=1e-12)
