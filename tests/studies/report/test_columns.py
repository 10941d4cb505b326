"""Records as columns: kept and read again."""

import math

import numpy as np
import pytest
from helpers.studies import synthetic_record

from studies.report.one_run.run import Run
from wirelessfl.errors import InputError
from wirelessfl.records.run_folder import RunFolder


def records(count=4):
    found = [synthetic_record(number, 3, rounds=count).as_dict() for number in range(1, count + 1)]
    for number, record in enumerate(found):
        record["extra"] = {"norm": 0.5 * number, "steps": number}
    return found


def test_series_are_what_the_records_hold():
    made = records()
    made[2]["latency_s"] = [0.1, None, 0.3]
    made[3]["uplink_bits"] = [1.0, 2.0, 3.0]
    run = Run(made)
    assert len(run) == 4
    for name in (name for name in made[0] if name != "extra"):
        expected = np.array([record[name] for record in made], dtype=np.float64)
        found = run.series(name)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.float64
        assert found.flags.c_contiguous  # sums are taken in the same order, to the last bit
    np.testing.assert_array_equal(run.series("extra.norm"), [0.0, 0.5, 1.0, 1.5])
    assert math.isnan(run.series("accuracy")[0])
    with pytest.raises(InputError, match=r"^series 'speed' is not known; there are round, clock_s"):
        run.series("speed")
    with pytest.raises(
        InputError, match=r"^series 'acuracy' is not known \(did you mean accuracy\?\)$"
    ):
        run.series("acuracy")


def test_a_run_is_read_back_and_keeps_only_what_is_small(tmp_path):
    folder = RunFolder.create(tmp_path / "run", "")
    for number in range(1, 5):
        folder.append(synthetic_record(number, 3, rounds=4))
    run = Run.read(folder.path)
    assert run.series("uplink_bits").shape == (4, 3)
    assert run.series("clients").tolist() == [[0, 1, 2]] * 4
    folder.rounds_file.unlink()
    assert run.series("uplink_bits").shape == (4, 3)  # the same for all clients: four numbers
    assert run.final_accuracy == 0.5
    with pytest.raises(FileNotFoundError):
        run.series("clients")
