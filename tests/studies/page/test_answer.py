"""Numbers, pictures and files of the page, against the functions of the product."""

import csv
import re
import tomllib
from xml.etree import ElementTree

import numpy as np
import pytest

from optimizers import repair, solve
from studies.page import parts
from studies.page.answer import PageAnswer
from studies.page.files import file_of
from studies.page.front import DRAWS, POINTS, at_deadline, front
from studies.page.page import Scenarios
from studies.page.pictures.allocation import allocation_picture
from studies.page.pictures.drop import drop_picture
from studies.page.pictures.front import front_picture
from studies.page.pictures.lines import Line, lines_picture
from studies.page.pictures.svg import ticks
from studies.page.pictures.timeline import timeline_picture
from studies.page.state import PageState
from studies.presets import scenario_tables
from studies.views.simulation.simulation import simulate
from studies.views.whatif.vary import Vary
from studies.views.whatif.whatif import Sweep
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.errors import InputError

SCENARIOS = Scenarios("digits", scenario_tables("digits"))
SVG = "{http://www.w3.org/2000/svg}"


def state(query=""):
    return PageState.parse(query, SCENARIOS)


def rows(html):
    """The cells of the tables in HTML, row by row."""
    found = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in found]


def bars(svg, look):
    return [
        one for one in ElementTree.fromstring(svg).iter(f"{SVG}rect") if look == one.get("class")
    ]


@pytest.mark.parametrize("query", ["", "allocation.method=equal", "scenario.deadline_s=9ms"])
def test_the_table_of_clients_is_what_solve_returns(query):
    answer = PageAnswer.of(state(query))
    problem = answer.first.planned.problem
    expected = solve(problem, answer.first.experiment.allocator)
    headings, *clients = rows(parts.clients(answer))
    found = {name: [row[column] for row in clients] for column, name in enumerate(headings)}
    assert found["band %"] == [f"{100 * one:.2f}" for one in expected.bandwidth_fraction]
    assert found["pruned %"] == [f"{100 * one:.2f}" for one in expected.pruning_ratio]
    assert found["latency ms"] == [f"{1e3 * one:.3f}" for one in expected.latency_s]
    assert found["status"] == expected.status.tolist()


def test_two_methods_have_a_column_each():
    answer = PageAnswer.of(state("compare=equal"))
    table = {row[0]: row[1:] for row in rows(parts.outcome(answer))}
    assert table[""] == ["exact", "equal"]
    kept = [
        f"{100 * scheme.planned.allocation.kept_fraction.mean():.2f} %"
        for scheme in answer.schemes.values()
    ]
    assert table["kept model, mean"] == kept
    assert "no prices" in parts.prices(answer)
    assert "m1" in parts.method_legend(answer)


def test_the_timeline_is_that_of_the_cell():
    asked = state("channel.csi=mean&scenario.deadline_policy=drop")
    found = PageAnswer.of(asked)
    cell = found.cells["exact"]
    expected = simulate(asked.experiment, seen=1).seen.timing
    assert np.array_equal(cell.timing.finish_s, expected.finish_s)
    svg = timeline_picture(found, 640.0)
    uploads = bars(svg, "phase upload")
    assert len(uploads) == sum(bar.phase == "upload" for bar in cell.timeline.bars)
    assert "deadline 25 ms" in svg
    assert "past the deadline" in parts.phase_legend(found)


def test_prices_are_those_of_the_allocation():
    answer = PageAnswer.of(state())
    allocation = answer.first.planned.allocation
    per_mhz = float(allocation.bandwidth_price) / 4.5
    said = parts.prices(answer)
    assert f"one more MHz keeps {per_mhz:.4g} of a model" in said
    assert f"one more ms of deadline {float(allocation.deadline_price) / 1e3:.4g}" in said
    assert f"{float(answer.first.sensitivities.gain_db.sum()):.4g} at all clients" in said


def test_infeasible_clients_have_a_reason_and_the_least_repairs():
    answer = PageAnswer.of(state("scenario.deadline_s=5.5ms"))
    found = repair(answer.first.planned.problem)
    assert not found.feasible
    assert answer.first.planned.allocation.reason in parts.reasons(answer)
    deadline_ms = 1e3 * (0.0055 + float(found.shortfall_s))
    assert f"a deadline of {deadline_ms:.6g} ms" in parts.repairs(answer)
    assert ">\N{MULTIPLICATION X}</text>" in allocation_picture(answer, 400.0)


def test_served_clients_need_no_reason():
    answer = PageAnswer.of(state())
    assert (parts.reasons(answer), parts.repairs(answer)) == ("", "")


@pytest.mark.parametrize("query", ["", "scenario=physical&compare=equal", "scenario.clients=100"])
@pytest.mark.parametrize("width", [260.0, 900.0])
def test_pictures_are_valid_and_within_their_width(query, width):
    answer = PageAnswer.of(state(query))
    for draw in (allocation_picture, timeline_picture, drop_picture):
        picture = ElementTree.fromstring(draw(answer, width))
        assert float(picture.get("width")) == width
        for one in picture.iter(f"{SVG}rect"):
            assert float(one.get("x")) + float(one.get("width")) <= width
            assert float(one.get("height")) >= 0


def test_the_map_shows_positions_where_the_channel_has_them():
    assert "north (m)" in drop_picture(PageAnswer.of(state("scenario=physical")), 500.0)
    assert "distance (m)" in drop_picture(PageAnswer.of(state()), 500.0)


def test_the_front_is_a_what_if_analysis_with_its_interval():
    found = front(state("compare=equal"))
    assert found.methods == ("exact", "equal")
    kept = [found.column(1.0 - found.result.mean("mean_ratio"), method) for method in (0, 1)]
    unserved = found.result.mean("late") + found.result.mean("infeasible")
    in_time = unserved.max(axis=1) == 0
    assert in_time.sum() > POINTS / 2
    assert (kept[0] >= kept[1] - 1e-9)[in_time].all()  # the optimum keeps at least as much
    assert np.all(np.diff(kept[0]) >= 0)  # and more with a longer deadline
    svg = front_picture(found, 0.025, 500.0)
    assert len(list(ElementTree.fromstring(svg).iter(f"{SVG}polygon"))) == 2
    assert len(kept[0]) == POINTS


def test_the_note_of_the_front_is_at_the_deadline_of_the_state():
    asked = state("scenario.deadline_s=31ms")
    sweep = Sweep(asked.tables, (Vary.parse("scenario.deadline_s=31ms"),), DRAWS).run()
    kept = 100 * (1 - float(sweep.mean("mean_ratio")[0]))
    error = 100 * float(sweep.standard_error("mean_ratio")[0])
    note = parts.front_note(front(asked), at_deadline(asked))
    assert f"At 31 ms exact keeps {kept:.2f} \N{PLUS-MINUS SIGN} {error:.2f} % on average" in note


def test_the_deadline_of_the_state_does_not_change_the_front():
    one, other = front(state()), front(state("scenario.deadline_s=40ms"))
    assert np.array_equal(one.result.mean("mean_ratio"), other.result.mean("mean_ratio"))


def test_the_csv_file_has_a_row_for_each_method_and_client():
    answer = PageAnswer.of(state("compare=equal"))
    text = file_of(state("compare=equal"), "allocation.csv").content.decode()
    found = list(csv.DictReader(text.splitlines()))
    assert [row["method"] for row in found] == ["exact"] * 10 + ["equal"] * 10
    expected = answer.schemes["equal"].planned.allocation.bandwidth_fraction
    assert [float(row["bandwidth_fraction"]) for row in found[10:]] == pytest.approx(expected)


def test_the_toml_file_is_the_experiment():
    asked = state("scenario=physical&scenario.deadline_s=44ms&allocation.method=equal")
    text = file_of(asked, "scenario.toml").content.decode()
    assert from_tables(tomllib.loads(text)) == asked.experiment


@pytest.mark.parametrize(
    "name",
    ["allocation.svg", "timeline.png", pytest.param("front.svg", marks=pytest.mark.slow)],
)
def test_pictures_are_those_of_the_command_line(name):
    file = file_of(state("compare=equal"), name)
    assert file.name == f"digits-{name}"
    if name.endswith("png"):
        assert file.content.startswith(b"\x89PNG")
    else:
        assert ElementTree.fromstring(file.content).tag == f"{SVG}svg"


def test_an_unknown_file_is_refused():
    with pytest.raises(InputError, match=r"file must be one of allocation\.csv"):
        file_of(state(), "secrets.txt")


def test_ticks_are_round_and_within_the_axis():
    assert ticks(0.0, 25.0, 300.0) == [0, 5, 10, 15, 20, 25]
    assert ticks(1.0, 3.0, 600.0, whole=True) == [1, 2, 3]
    assert all(-0.3 <= one <= 0.7 for one in ticks(-0.3, 0.7, 100.0))


def test_a_single_round_is_a_point_and_no_value_is_no_picture():
    one = Line("a", np.array([1.0]), np.array([0.5]))
    assert len(
        list(ElementTree.fromstring(lines_picture([one], "round", "x", 400.0)).iter(f"{SVG}circle"))
    )
    empty = Line("a", np.array([1.0]), np.array([np.nan]), limit=25.0)
    assert lines_picture([empty], "round", "x", 400.0) == ""
