"""Grids of what-if analyses equal the solutions point by point."""

import numpy as np
import pytest
from helpers.problems import changed, scenario_rates, scenario_s

from optimizers import breakpoints, solve, what_if
from wirelessfl.allocation.noise_psd import NoisePsdProblem
from wirelessfl.errors import InputError

DEADLINES = np.linspace(0.015, 0.030, 4)
BANDS = [10e6, 20e6, 40e6]


def faded(draws):
    gain = np.random.default_rng(0).gamma(4.0, 1.0, (draws, 10))
    return scenario_s(rate_bps=scenario_rates(gain), max_pruning_ratio=0.95)


def test_a_grid_is_what_solving_point_by_point_gives():
    p = faded(5)
    found = what_if(p, {"deadline_s": DEADLINES, "bandwidth_hz": BANDS})
    assert found.measured["mean_ratio"].shape == (4, 3, 5)
    for row, deadline_s in enumerate(DEADLINES):
        for column, bandwidth_hz in enumerate(BANDS):
            rate_bps = p.rate_bps * bandwidth_hz / 20e6
            a = solve(changed(p, deadline_s=deadline_s, rate_bps=rate_bps))
            expected = {
                "mean_ratio": a.pruning_ratio.mean(axis=-1),
                "latency_s": a.latency_s.max(axis=-1),
                "starved": (a.status == "starved").sum(axis=-1),
                "infeasible": (a.status == "infeasible").sum(axis=-1),
                "left_out": np.zeros(5),
                "late": (a.latency_s > deadline_s * (1 + 1e-9)).sum(axis=-1),
                "bandwidth_price": a.bandwidth_price,
                "deadline_price": a.deadline_price,
            }
            for name, values in expected.items():
                np.testing.assert_allclose(
                    found.measured[name][row, column], values, rtol=1e-12, err_msg=name
                )


def test_clients_left_out_are_counted_as_such():
    p = scenario_s(max_pruning_ratio=0.5)
    found = what_if(p, {"deadline_s": [0.02]}, "select")
    expected = (solve(changed(p, deadline_s=0.02), "select").status == "left out").sum()
    assert found.mean("left_out") == [expected]
    assert expected > 0
    assert found.mean("infeasible") == found.mean("late") == [0]


def test_a_point_that_breaks_its_deadline_is_counted_and_on_no_front():
    """A common ratio on equal bands: at short deadlines clients are late and beat no point."""
    found = what_if(scenario_s(), {"deadline_s": DEADLINES}, "equal-common")
    late, slowest_s = found.mean("late"), found.mean("latency_s")
    np.testing.assert_array_equal(late > 0, slowest_s > np.array(DEADLINES) * (1 + 1e-9))
    assert late.max() > 0
    np.testing.assert_array_equal(found.table()["pareto"][late > 0], False)
    in_time = what_if(scenario_s(), {"deadline_s": DEADLINES}, "equal")
    assert in_time.mean("late").max() == 0
    assert in_time.front().all()


def test_mean_and_error_over_draws_as_columns():
    p = faded(7)
    found = what_if(p, {"deadline_s": DEADLINES})
    ratios = solve(changed(p, deadline_s=DEADLINES[2])).pruning_ratio.mean(axis=-1)
    table = found.table()
    assert {column.shape for column in table.values()} == {(4,)}
    assert table["mean_ratio"][2] == pytest.approx(ratios.mean())
    assert table["mean_ratio_standard_error"][2] == pytest.approx(ratios.std(ddof=1) / np.sqrt(7))
    assert np.all(
        np.isnan(what_if(scenario_s(), {"deadline_s": DEADLINES}).standard_error("mean_ratio"))
    )


def test_pandas_takes_the_table():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        what_if(faded(3), {"deadline_s": DEADLINES, "bandwidth_hz": BANDS}).table()
    )
    assert len(frame) == 12
    assert frame.set_index(["deadline_s", "bandwidth_hz"]).mean_ratio.loc[
        0.025, 20e6
    ] == pytest.approx(0.6, abs=0.05)


def test_the_front_ends_where_more_time_keeps_nothing_more():
    found = what_if(scenario_s(), {"deadline_s": [0.02, 0.1, 0.2, 0.03], "bandwidth_hz": BANDS})
    np.testing.assert_array_equal(found.front()[:, 1], [True, True, False, True])
    assert list(found.table()["pareto"][1::3]) == [True, True, False, True]


def test_the_front_compares_within_the_other_field():
    found = what_if(scenario_s(), {"bandwidth_hz": BANDS, "deadline_s": DEADLINES})
    assert found.front().shape == (3, 4)
    assert found.front().all()


def at(deadline_s):
    return scenario_s(deadline_s=deadline_s[:, None], max_pruning_ratio=0.95)


def test_breakpoints_are_where_the_status_changes():
    found = breakpoints(at, np.linspace(0.012, 0.06, 9))
    assert {point.before for point in found} >= {"capped", "active"}
    for point in found:
        below, above = (
            solve(at(np.array([point.value * factor]))).status[0] for factor in (1 - 1e-7, 1 + 1e-7)
        )
        assert (below[point.client], above[point.client]) == (point.before, point.after)
    assert [point.value for point in found] == sorted(point.value for point in found)


def test_breakpoints_do_not_depend_on_the_grid():
    coarse, fine = (
        breakpoints(at, np.linspace(0.012, 0.06, 5)),
        breakpoints(at, np.linspace(0.012, 0.06, 40)),
    )
    fine_by_change = {(point.client, point.before, point.after): point.value for point in fine}
    shared = [
        point for point in coarse if (point.client, point.before, point.after) in fine_by_change
    ]
    assert len(shared) >= 8
    for point in shared:
        assert point.value == pytest.approx(
            fine_by_change[point.client, point.before, point.after], abs=1e-9
        )


def test_neighbouring_values_may_be_as_close_as_numbers_can_be():
    (point,) = breakpoints(at, [0.0155, 0.0175])
    close = [point.value, np.nextafter(point.value, 1.0)]
    assert breakpoints(at, close) == [] or breakpoints(at, close)[0].client == point.client


def test_no_change_means_no_breakpoint():
    assert breakpoints(at, [0.025, 0.026]) == []
    assert breakpoints(at, [0.025]) == []


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ({}, ["vary", "at least 1 field"]),
        ({"deadline": [1.0]}, ["vary", "deadline", "deadline_s"]),
        ({"deadline_s": 0.02}, ["deadline_s", "list"]),
        ({"deadline_s": []}, ["deadline_s", "list"]),
        ({"deadline_s": ["soon"]}, ["deadline_s", "numbers", "soon"]),
        ({"deadline_s": [0.02, -1.0]}, ["deadline_s", "above 0", "-1"]),
        ({"bandwidth_hz": [0.0]}, ["bandwidth_hz", "above 0", "0"]),
    ],
)
def test_bad_input_is_one_line(vary, words):
    with pytest.raises(InputError) as error:
        what_if(scenario_s(), vary)
    for word in words:
        assert word in str(error.value)


def test_a_band_is_needed_to_vary_it():
    with pytest.raises(InputError, match="bandwidth_hz"):
        what_if(scenario_s(bandwidth_hz=None), {"bandwidth_hz": BANDS})


def test_noise_of_a_given_density_has_one_band():
    s = scenario_s()
    p = NoisePsdProblem(
        deadline_s=0.025,
        fixed_s=s.fixed_s,
        prunable_s=s.prunable_s,
        upload_bits=s.upload_bits,
        snr=np.linspace(50, 500, 10),
        bandwidth_hz=20e6,
    )
    found = what_if(p, {"deadline_s": DEADLINES}).mean("mean_ratio")
    expected = [
        solve(changed(p, deadline_s=deadline_s)).pruning_ratio.mean() for deadline_s in DEADLINES
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    with pytest.raises(InputError, match=r"vary rate_bps needs .* got NoisePsdProblem"):
        what_if(p, {"rate_bps": [1e6]})
    with pytest.raises(InputError, match=r"vary snr needs .* got AllocationProblem"):
        what_if(s, {"snr": [1.0]})


def test_more_band_at_the_same_noise_density():
    s = scenario_s(fixed_upload_bits=1e4)
    p = NoisePsdProblem(
        deadline_s=0.025,
        fixed_s=s.fixed_s,
        prunable_s=s.prunable_s,
        upload_bits=s.upload_bits,
        fixed_upload_bits=s.fixed_upload_bits,
        snr=np.linspace(5, 50, 10),
        bandwidth_hz=20e6,
    )
    found = what_if(p, {"bandwidth_hz": BANDS, "upload_bits": [3e5, 5e5]}).mean("mean_ratio")
    for row, hertz in enumerate(BANDS):
        for column, bits in enumerate((3e5, 5e5)):
            wider = changed(p, bandwidth_hz=hertz, snr=p.snr * 20e6 / hertz, upload_bits=bits)
            expected = solve(wider).pruning_ratio.mean()
            assert found[row, column] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("field", ["rate_bps", "prunable_s", "fixed_s"])
def test_any_field_of_the_problem_can_be_varied(field):
    p = scenario_s()
    values = np.linspace(0.5, 1.0, 3) * np.asarray(getattr(p, field)).mean()
    found = what_if(p, {field: values, "bandwidth_hz": [40e6]}).mean("mean_ratio")[:, 0]
    expected = [
        solve(changed(q, rate_bps=2 * q.rate_bps)).pruning_ratio.mean()
        for q in (changed(p, **{field: value}) for value in values)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_snr_can_be_varied():
    p = NoisePsdProblem(
        deadline_s=0.025,
        fixed_s=0.005,
        prunable_s=0.01,
        upload_bits=5e5,
        snr=np.ones(5),
        bandwidth_hz=20e6,
    )
    found = what_if(p, {"snr": [1.0, 10.0]}).mean("mean_ratio")
    expected = [solve(changed(p, snr=snr)).pruning_ratio.mean() for snr in (1.0, 10.0)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_client_that_never_finishes_makes_no_noise():
    p = scenario_s(rate_bps=np.array([[0.0] + [1e8] * 9, [1e8] * 10]))
    found = what_if(p, {"deadline_s": DEADLINES}, "fixed-ratio")
    assert np.all(np.isinf(found.mean("latency_s")))
    assert np.all(np.isnan(found.standard_error("latency_s")))


def test_a_measure_that_is_not_there():
    with pytest.raises(InputError, match="measure"):
        what_if(scenario_s(), {"deadline_s": DEADLINES}).mean("ratio")


def test_a_front_without_deadlines():
    with pytest.raises(InputError, match="deadline_s"):
        what_if(scenario_s(), {"bandwidth_hz": BANDS}).front()
