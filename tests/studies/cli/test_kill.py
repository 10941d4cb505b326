"""A run killed at a random moment and resumed gives the same bytes as an uninterrupted run."""

import random
import time
from pathlib import Path

import pytest
from helpers.cli import call, start

ROUNDS = 40
ARGUMENTS = (
    "run",
    "digits",
    "--rounds",
    ROUNDS,
    "--set",
    "run.checkpoint_every=3",
    "--executor",
    "loop",
)
LIMIT_S = 120


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """`rounds.jsonl` of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    assert start(*ARGUMENTS, "--out", "run", folder=folder).wait(LIMIT_S) == 0
    return (folder / "run" / "rounds.jsonl").read_bytes()


def _rounds(path: Path) -> int:
    file = path / "rounds.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(20))
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    moment, whole, tmp_path, capsys, monkeypatch
):
    chance = random.Random(moment)
    path = tmp_path / "run"
    process = start(*ARGUMENTS, "--out", path, folder=tmp_path)
    target = chance.randrange(ROUNDS)
    deadline = time.monotonic() + LIMIT_S
    while _rounds(path) < target and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(chance.uniform(0.0, 0.08))  # about the length of a round: anywhere within it
    process.kill()
    process.wait(LIMIT_S)
    killed_at = _rounds(path)
    ended = call(
        capsys,
        monkeypatch,
        *ARGUMENTS,
        "--out",
        path,
        "--resume",
        "--executor",
        ("loop", "workers")[moment % 2],
    )
    assert ended.status == 0, ended.err
    assert (path / "rounds.jsonl").read_bytes() == whole
    assert target <= killed_at <= ROUNDS
