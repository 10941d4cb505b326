"""The timeline of a round: bars from real and synthetic traces, and the figure's text."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from studies.views.simulation.simulation import RoundSeen, Simulation, simulate
from studies.views.simulation.timeline import Mark, Timeline
from studies.views.simulation.timeline_figures import draw_timeline
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.errors import InputError
from wirelessfl.values import Backlog, RoundTiming

NONE = np.zeros(1, dtype=bool)


def timing_of(*events, clients=1, download_s=0.0, round_s=10.0, finish_s=10.0):
    """The timing of a round in which client 0 does `events` (time_s, event)."""
    zeros = np.zeros(clients)
    return RoundTiming(
        download_s=zeros + download_s,
        compute_s=zeros,
        upload_s=zeros,
        finish_s=zeros + finish_s,
        delivered=zeros + finish_s <= 10.0,
        energy_j=zeros,
        round_s=round_s,
        trace=tuple((time_s, 0, event) for time_s, event in events),
        lost=np.isinf(zeros + finish_s),
        earlier=zeros > 0,
        retransmissions=zeros.astype(np.int64),
        band_utilisation=0.5,
        backlog=Backlog.none(clients),
    )


def bars(timing, *, pending=False):
    """(phase, start, end) of client 0."""
    line = Timeline.of(timing, np.array([pending]))
    return [(bar.phase, bar.start_s, bar.end_s) for bar in line.bars if bar.client == 0]


WORK = ((1.0, "fixed work done"), (3.0, "prunable work done"))


def test_phases_end_with_their_events_and_the_rest_is_waiting():
    timing = timing_of((0.5, "downloaded"), *WORK, (7.0, "uploaded"), download_s=0.5)
    assert bars(timing) == [
        ("download", 0.0, 0.5),
        ("fixed work", 0.5, 1.0),
        ("prunable work", 1.0, 3.0),
        ("upload", 3.0, 7.0),
        ("wait", 7.0, 10.0),
    ]


def test_lost_blocks_are_marks_and_part_nothing():
    timing = timing_of(*WORK, (4.0, "block lost"), (5.0, "block lost"), (10.0, "uploaded"))
    assert bars(timing)[-1] == ("upload", 3.0, 10.0)
    assert Timeline.of(timing).marks == (Mark(0, "block lost", 4.0), Mark(0, "block lost", 5.0))


def test_an_interruption_parts_a_phase():
    timing = timing_of(
        (1.0, "fixed work done"),
        (2.0, "interrupted"),
        (2.5, "resumed"),
        (4.0, "prunable work done"),
    )
    assert bars(timing)[1:] == [
        ("prunable work", 1.0, 2.0),
        ("interrupted", 2.0, 2.5),
        ("prunable work", 2.5, 4.0),
        ("upload", 4.0, 10.0),  # not finished when the round ended
    ]


@pytest.mark.parametrize(
    ("events", "last"),
    [
        ((), ("fixed work", 0.0, 0.75)),
        (((0.5, "interrupted"),), ("interrupted", 0.5, 0.75)),
    ],
)
def test_a_client_that_dropped_out_does_nothing_more(events, last):
    timing = timing_of(*events, (0.75, "dropped out"), finish_s=np.inf)
    assert bars(timing)[-1] == last
    assert Timeline.of(timing).marks == (Mark(0, "dropped out", 0.75),)


def test_a_client_that_gave_up_was_sending():
    timing = timing_of(*WORK, (4.0, "block lost"), (4.0, "gave up"), finish_s=np.inf)
    assert bars(timing)[-1] == ("upload", 3.0, 4.0)
    assert [mark.event for mark in Timeline.of(timing).marks] == ["block lost", "gave up"]


def test_the_update_of_the_round_before_comes_first():
    events = ((0.2, "downloaded"), (0.5, "late update arrived"), *WORK, (7.0, "uploaded"))
    timing = timing_of(*events, download_s=0.2)
    assert bars(timing, pending=True)[1:3] == [("late update", 0.2, 0.5), ("fixed work", 0.5, 1.0)]
    assert bars(timing_of(), pending=True) == [("late update", 0.0, 10.0)]


def test_what_goes_on_in_the_next_round_is_marked():
    owed = Backlog(pending=np.ones(1, dtype=bool), updates=np.zeros(1), upload_bits=np.ones(1))
    line = Timeline.of(replace(timing_of(*WORK), backlog=owed))
    assert line.bars[-1].end_s == 10.0
    assert line.marks == (Mark(0, "carried over", 10.0),)


def test_a_phase_of_no_time_has_no_bar():
    timing = timing_of((1.0, "fixed work done"), (1.0, "prunable work done"), (1.0, "uploaded"))
    assert bars(timing) == [("fixed work", 0.0, 1.0), ("wait", 1.0, 10.0)]


@pytest.mark.parametrize("policy", ["wait", "drop"])
def test_bars_of_a_real_round_are_its_timing(policy):
    tables = {
        "channel": {"csi": "mean"},
        "scenario": {"deadline_policy": policy, "downlink_rate_bps": 1e9},
    }
    found = simulate(from_tables({**tables, "run": {"rounds": 2}}), seen=2)
    timing = found.seen.timing
    line = Timeline.of(timing, found.seen.backlog.pending)
    for client, finish_s in enumerate(timing.finish_s):
        mine = [bar for bar in line.bars if bar.client == client]
        spent = {bar.phase: bar.end_s - bar.start_s for bar in mine}
        assert spent["download"] == pytest.approx(timing.download_s[client])
        assert spent["fixed work"] + spent["prunable work"] == pytest.approx(
            timing.compute_s[client]
        )
        assert spent["upload"] == pytest.approx(timing.upload_s[client])
        assert [bar.start_s for bar in mine] == [0.0, *(bar.end_s for bar in mine[:-1])]
        assert max(bar.end_s for bar in mine if bar.phase != "wait") == pytest.approx(finish_s)


def simulation_of(timing, *, pending=NONE, clients=1, deadline_s=10.0):
    experiment = from_tables({"scenario": {"clients": clients, "deadline_s": deadline_s}})
    backlog = replace(Backlog.none(clients), pending=np.broadcast_to(pending, (clients,)))
    return Simulation(experiment, {}, RoundSeen(3, backlog, timing))


def texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_the_legend_names_what_is_there_and_nothing_else():
    quiet = draw_timeline(simulation_of(timing_of(*WORK, (10.0, "uploaded"))), "a")
    assert not any(
        word in " ".join(texts(quiet)) for word in ("past", "lost", "dropped", "late", "end of")
    )
    loud = timing_of(*WORK, (4.0, "block lost"), (15.0, "uploaded"), finish_s=15.0, round_s=15.0)
    assert {"lost block, sent again", "past the deadline", "deadline", "end of the round"} <= set(
        texts(draw_timeline(simulation_of(loud), "a"))
    )
    title = draw_timeline(simulation_of(loud), "a").axes[0].get_title(loc="left")
    assert "round 3" in title
    assert "1 of 1 miss" in title


def test_who_is_far_too_late_is_named_with_a_time():
    axes = draw_timeline(
        simulation_of(timing_of(*WORK, (196.0, "uploaded"), finish_s=196.0)), "a"
    ).axes[0]
    assert [text.get_text() for text in axes.texts] == ["→ 196000 ms"]
    assert axes.get_xlim()[1] < 30e3


@pytest.mark.parametrize("clients", [1, 10, 50, 400])
def test_labels_do_not_touch(clients):
    figure = draw_timeline(
        simulation_of(timing_of(*WORK, (9.0, "uploaded"), clients=clients), clients=clients), "a"
    )
    figure.canvas.draw()  # places everything
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(lower.y1 <= upper.y0 for upper, lower in pairwise(boxes))
    assert figure.legends[0].get_window_extent().x0 >= figure.axes[0].get_window_extent().x1


def test_a_simulation_without_a_round_cannot_be_drawn():
    with pytest.raises(InputError, match=r"^seen must name the round to draw"):
        draw_timeline(replace(simulation_of(timing_of()), seen=None), "a")


def test_only_who_took_part_has_a_row():
    tables = {
        "scenario": {"clients": 8, "deadline_s": 0.02},
        "channel": {"csi": "mean"},
        "run": {"participants": 3},
    }
    found = simulate(from_tables(tables), seen=4)
    here = found.columns["clients"][3].astype(int).tolist()
    axes = draw_timeline(found, "a").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        str(client) for client in here
    ]
    assert {round(bar.get_y() + bar.get_height() / 2) for bar in axes.patches} == {0, 1, 2}
    missed = int((found.columns["delivered"][3] == 0).sum())
    assert f"{missed} of 3 miss" in axes.get_title(loc="left")
