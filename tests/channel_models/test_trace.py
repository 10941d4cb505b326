"""Recorded gains: read back as written, and one line for everything that is wrong with a file."""

import os

import numpy as np
import pytest

from channel_models._csi import Csi
from channel_models._trace_file import _read
from channel_models.trace import Trace
from wirelessfl.config.scenario_file import from_tables, to_tables
from wirelessfl.errors import InputError
from wirelessfl.rng import Streams
from wirelessfl.values import Scenario

GAIN = np.array([[1e-11, 2.5e-12], [3.000000000000001e-11, 4e-12], [5e-11, 6.1e-12]])
TWO = Scenario(clients=2, distance_m=(100.0, 200.0))


def wide(folder):
    file = folder / "wide.csv"
    file.write_text("\n".join(",".join(repr(float(gain)) for gain in row) for row in GAIN) + "\n\n")
    return file


def long(folder):
    rows = [f"{r + 1}, {c} ,{float(GAIN[r, c])!r}" for r in range(3) for c in range(2)]
    file = folder / "long.csv"
    file.write_text(
        "\r\n".join(["round,client,gain", *rows[::-1]]), encoding="utf-8-sig", newline=""
    )
    return file


def arrays(folder):
    np.savez_compressed(folder / "arrays.npz", gain=GAIN, other=[1])
    return folder / "arrays.npz"


@pytest.mark.parametrize("write", [wide, long, arrays])
def test_what_was_recorded_is_played_back(write, tmp_path):
    model = Trace(file=str(write(tmp_path)))
    for round in range(3):
        state = model.sample(TWO, Streams(round, round))
        np.testing.assert_array_equal(state.gain, GAIN[round])
        np.testing.assert_array_equal(state.block_gain(5), GAIN[round])
        np.testing.assert_array_equal(state.path_gain, GAIN.mean(axis=0))
    np.testing.assert_array_equal(model.mean_gain(TWO, Streams(0, 1)), GAIN.mean(axis=0))
    np.testing.assert_array_equal(
        model.sample(Scenario(clients=1), Streams(0, 1)).gain, GAIN[1, :1]
    )


def test_the_path_is_relative_to_the_working_directory(tmp_path, monkeypatch):
    wide(tmp_path)
    monkeypatch.chdir(tmp_path)
    experiment = from_tables({"channel": {"model": "trace", "file": "wide.csv", "repeat": True}})
    np.testing.assert_array_equal(experiment.channel.sample(TWO, Streams(0)).gain, GAIN[0])
    assert from_tables(to_tables(experiment)) == experiment


def test_it_starts_over_only_when_asked(tmp_path):
    file = str(wide(tmp_path))
    np.testing.assert_array_equal(
        Trace(file=file, repeat=True).sample(TWO, Streams(0, 7)).gain, GAIN[1]
    )
    message = (
        f"channel.file {file}: holds 3 rounds, got round 4: set channel.repeat = true to start over"
    )
    with pytest.raises(InputError) as caught:
        Trace(file=file).sample(TWO, Streams(0, 3))
    assert str(caught.value) == message


def test_a_file_that_changed_is_read_again(tmp_path):
    file = wide(tmp_path)
    model = Trace(file=str(file))
    model.sample(TWO, Streams(0))
    file.write_text("7e-11,8e-11\n")
    os.utime(file, ns=(1, 1))
    np.testing.assert_array_equal(model.sample(TWO, Streams(0)).gain, [7e-11, 8e-11])


def test_mean_and_quantile_are_those_of_the_file(tmp_path):
    file = str(wide(tmp_path))
    believed = {
        kind: Trace(file=file, csi=Csi(csi=kind, outage=0.4)).sample(TWO, Streams(0)).believed_gain
        for kind in ("perfect", "mean", "quantile")
    }
    np.testing.assert_array_equal(believed["perfect"], GAIN[0])
    np.testing.assert_array_equal(believed["mean"], GAIN.mean(axis=0))
    np.testing.assert_array_equal(believed["quantile"], GAIN[1])


def test_a_gain_below_any_link_is_none(tmp_path):
    file = tmp_path / "weak.csv"
    file.write_text("1e-308,1e-41\n1e-39,0\n")
    for round, expected in enumerate(([0.0, 0.0], [1e-39, 0.0])):
        state = Trace(file=str(file)).sample(TWO, Streams(0, round))
        np.testing.assert_array_equal(state.gain, expected)


POSSIBLE = "must be a number from 0 to 1 (0 or empty: no link)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1e-11,2e-11\n1e-11,nan\n", ": row 2: a value must be a finite number, got 'nan'"),
        ("1e-11,2e-11\n\n-1e-11,70\n", f": row 3: gain of client 0 {POSSIBLE}, got -1e-11"),
        ("1e-11,2e-11\n1e-12,two\n", ": row 2: a value must be a finite number, got 'two'"),
        ("1,2\n1,inf\n", ": row 2: a value must be a finite number, got 'inf'"),
        (
            "1e-9,two\n",
            ": row 1: the first line must be numbers, or a header that names columns, got 'two'",
        ),
        ("1,1\n1\n", ": row 2: a row must be 2 cells as the first row, got 1"),
        ("1\n1\n", ": must hold at least 2 clients (scenario.clients), got 1"),
        ("", " must hold at least one round, got none"),
        ("# nothing yet\n", " must hold at least one round, got none"),
        ("round,client,gain\n", " must hold at least one round, got none"),
        (
            "round,client,gain\n0,0,1\n",
            ": row 2: round must be a whole number of at least 1, got '0'",
        ),
        (
            "round,client,gain\n1.5,0,1\n",
            ": row 2: round must be a whole number of at least 1, got '1.5'",
        ),
        (
            "round,client,gain\n1,-1,1\n",
            ": row 2: client must be a whole number of at least 0, got '-1'",
        ),
        ("round,client,gain\n1,0\n", ": row 2: a row must be 3 cells as the header, got 2"),
        (
            "round,client,gain\n1,0,1\n1,0,1\n",
            ": row 3: round and client must be there once, got round 1, client 0 again",
        ),
        (
            "round,client,gain\n1,0,1\n1,1,1\n3,0,1\n3,1,1\n",
            " must hold every client in every round, got no round 2, client 0",
        ),
        (
            "round,client,gain\n1,0,1\n999999999,1,1\n",
            " must hold every client in every round, got no round 1, client 1",
        ),
        (
            "time_s,client,gain\n1,a,1\n1,a,1\n",
            ": row 3: time_s and client must be there once, got 0 s after the first, client 0 again",
        ),
        ("time_s,a,b\n1,1,1\n1,1,1\n", ": row 3: time_s must be there once, got 1 again"),
        ("time_s,a,b\n,1,1\n", ": row 2: time_s must be a finite number, got ''"),
        ("round,time_s,a\n1,1,1\n", " must have a column round or time_s, got both"),
        ("client,gain\n0,1\n", " must have a column round or time_s beside client, got none"),
        ("round,a,a\n1,1,1\n", " must name each column once, got a twice"),
        ("gain,snr_db\n1,1\n", " must have values in one unit, got columns in gain, snr_db"),
        (
            "113,96\n104,99\n",
            f": row 1: gain of client 0 {POSSIBLE}, got 113; the values look like path_loss_db: set channel.unit",
        ),
        (
            "-113,-96\n",
            f": row 1: gain of client 0 {POSSIBLE}, got -113; the values look like rsrp_dbm or gain_db: set channel.unit",
        ),
        (
            "-3,21\n",
            f": row 1: gain of client 0 {POSSIBLE}, got -3; the values look like snr_db: set channel.unit",
        ),
        (
            "2e6,5e4\n",
            f": row 1: gain of client 0 {POSSIBLE}, got 2e+06; the values look like rate_kbps or rate_bps: set channel.unit",
        ),
        (
            "path_loss_db,path_loss_db_2\n-98,-113\n",
            ": row 2: path_loss_db of client 0 must be a number from 0 to 400 (0 or empty: no link), got -98; the values look like rsrp_dbm or gain_db: set channel.unit",
        ),
        (
            "snr_db_0,snr_db_1\n1000,3\n",
            ": row 2: snr_db of client 0 must be a number from -100 to 100 (empty: no link), got 1000",
        ),
        (
            "rate_bps_0,rate_bps_1\n1000,-3\n",
            ": row 2: rate_bps of client 1 must be a number of at least 0 (0 or empty: no link), got -3",
        ),
        (
            "1,1e-9,2e-9\n2,1e-9,1e-9\n3,1e-9,1e-9\n",
            ": row 1: the first column must be a client's, got 1, 2, 3 ..., row numbers: name the columns in a header",
        ),
        (
            "n,a,b\n0,1e-9,2e-9\n1,1e-9,1e-9\n2,1e-9,1e-9\n",
            ": row 2: the first column must be a client's, got 0, 1, 2 ..., row numbers: name the columns in a header",
        ),
    ],
)
def test_a_bad_csv_file_is_one_line(text, message, tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        Trace(file=str(file)).sample(TWO, Streams(0))
    assert str(caught.value) == f"channel.file {file}{message}"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            {"gain": [[1.0, 2.0], [1.0, np.nan]]},
            ": row 2: gain of client 1 must be a finite number, got nan",
        ),
        (
            {"gain": [[1, 2]]},
            f": row 1: gain of client 1 {POSSIBLE}, got 2; the values look like snr_db: set channel.unit",
        ),
        ({"gain": [[1, 1]], "time_s": [[1.0]]}, ": time_s must be 1 numbers, got shape (1, 1)"),
        (
            {"gain": [[1, 1]], "snr_db": [[1, 1]]},
            " must hold numbers of one unit of shape (rounds, clients), got none",
        ),
        ({"gains": [[1.0]]}, " must hold numbers of one unit of shape (rounds, clients), got none"),
        (
            {"gain": [1.0, 2.0]},
            " must hold numbers of one unit of shape (rounds, clients), got float64 of shape (2,)",
        ),
        (
            {"gain": [["a"]]},
            " must hold numbers of one unit of shape (rounds, clients), got <U1 of shape (1, 1)",
        ),
        (
            {"gain": np.zeros((0, 2))},
            " must hold numbers of one unit of shape (rounds, clients), got float64 of shape (0, 2)",
        ),
        ({"gain": [[1.0]]}, ": must hold at least 2 clients (scenario.clients), got 1"),
    ],
)
def test_a_bad_npz_file_is_one_line(found, message, tmp_path):
    file = tmp_path / "bad.npz"
    np.savez(file, **{name: np.asarray(array) for name, array in found.items()})
    with pytest.raises(InputError) as caught:
        Trace(file=str(file)).mean_gain(TWO, Streams(0))
    assert str(caught.value) == f"channel.file {file}{message}"


@pytest.mark.parametrize(
    ("name", "content"), [("bad.npz", b"not a zip"), ("bad.npz", b""), ("bad.csv", b"1,\xff\n")]
)
def test_a_file_of_another_kind_is_one_line(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        Trace(file=str(tmp_path / name)).sample(TWO, Streams(0))
    assert str(caught.value).startswith(f"channel.file {tmp_path / name} is not a")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_any_damage_to_an_npz_file_is_one_line_or_does_no_harm(save, tmp_path):
    file = tmp_path / "gains.npz"
    save(file, gain=GAIN)
    whole, errors = file.read_bytes(), set()
    for place, byte in enumerate(whole):
        file.write_bytes(whole[:place] + bytes([byte ^ 0xFF]) + whole[place + 1 :])
        _read.cache_clear()  # the size is the same, and the time may be
        try:
            assert Trace(file=str(file)).sample(TWO, Streams(0)).gain.shape == (2,)
        except InputError as error:
            errors.add(str(error))
    assert any("is not an NPZ file: " in line for line in errors)
    assert not any("\n" in line for line in errors)


def test_a_single_array_and_an_object_are_no_npz_file(tmp_path):
    single, objects = tmp_path / "single.npz", tmp_path / "objects.npz"
    with open(single, "wb") as out:
        np.save(out, GAIN)
    np.savez(objects, gain=np.array([[{}]], dtype=object))
    for file in (single, objects):
        with pytest.raises(InputError, match=r"^channel.file .*npz (must hold|is not an NPZ)"):
            Trace(file=str(file)).sample(TWO, Streams(0))


def test_no_file_is_one_line(tmp_path):
    with pytest.raises(
        InputError, match=r"^channel.file must name a recorded trace \(.csv or .npz\), got ''$"
    ):
        Trace().sample(TWO, Streams(0))
    with pytest.raises(
        InputError, match=r"^channel.file must end in .csv or .npz, got 'gains.txt'$"
    ):
        Trace(file="gains.txt")
    with pytest.raises(
        InputError, match=r"^channel.file .*none.csv cannot be read: No such file or directory$"
    ):
        Trace(file=str(tmp_path / "none.csv")).sample(TWO, Streams(0))
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(
        InputError, match=r"^channel.file .*folder.csv cannot be read: Is a directory$"
    ):
        Trace(file=str(tmp_path / "folder.csv")).sample(TWO, Streams(0))
