"""Scale of records: memory does not grow with their size, and many clients are drawn in one go."""

import time
import tracemalloc

import pytest
from helpers.studies import synthetic_record

from studies.report.one_run.run_figure import MOST_BOXES, MOST_POINTS, draw_allocation
from studies.report.one_run.run_series import SHOWN, RunSeries
from studies.report.output import new_figure
from wirelessfl.records.record_lines import FIELDS
from wirelessfl.records.run_folder import RunFolder
from wirelessfl.records.strict_json import dumps
from wirelessfl.records.summary import SUMMARISED, RunTotals

ROUNDS, CLIENTS = 2500, 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = RunFolder.create(tmp_path_factory.mktemp("runs") / "run", "")
    record = synthetic_record(1, CLIENTS).as_dict()
    lines = (dumps({**record, "round": number}) + "\n" for number in range(1, ROUNDS + 1))
    folder.rounds_file.write_text("".join(lines))
    return folder


def peak_bytes(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_records_are_taken_one_by_one(folder):
    size = folder.rounds_file.stat().st_size
    assert size > 2**22
    for work in (
        lambda: folder.keep_rounds(ROUNDS - 1),
        lambda: folder.keep_rounds(ROUNDS - 2, evaluated_last=False),
        lambda: folder.checksum(ROUNDS - 2),
        folder.last_record,
        lambda: RunTotals.of(folder.each_record(SUMMARISED)),
    ):
        assert peak_bytes(work) < size / 2
    few = peak_bytes(lambda: RunSeries.of(folder.each_record(SHOWN)))
    assert few < 8 * ROUNDS * (len(FIELDS) + 2 * CLIENTS) + 2**20


def test_many_clients_and_rounds_are_drawn_as_quantiles_and_extremes():
    records = [synthetic_record(1, 3000).as_dict()] * (2 * MOST_POINTS // 1000)
    series = RunSeries.of(records)
    assert len(series.ratios) > MOST_BOXES
    began = time.process_time()
    figure = new_figure(9, 4)
    left, right = figure.subplots(1, 2)
    draw_allocation((left, right), series, 0.025)
    assert time.process_time() - began < 5
    assert len(right.collections) == 2
    assert [text.get_text() for text in right.get_legend().get_texts()] == [
        "range",
        "quartiles",
        "median",
    ]
