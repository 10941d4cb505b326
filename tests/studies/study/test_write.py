"""Tables of studies as plain values."""

from studies.report.csv_files import write_records
from studies.report.results import Sample, Table
from studies.study.write import table_records


def test_what_was_not_measured_in_one_row_has_an_empty_error_there(tmp_path):
    rows = table_records(Table(({"name": "a", "x": None}, {"name": "b", "x": Sample((1.0, 3.0))})))
    assert rows == [
        {"name": "a", "x": None, "x_standard_error": None},
        {"name": "b", "x": 2.0, "x_standard_error": 1.0},
    ]
    write_records(tmp_path / "table.csv", rows)
    assert (tmp_path / "table.csv").read_text() == "name,x,x_standard_error\na,,\nb,2,1\n"


def test_what_no_row_measured_has_no_error():
    assert table_records(Table(({"name": "a", "x": None},))) == [{"name": "a", "x": None}]
