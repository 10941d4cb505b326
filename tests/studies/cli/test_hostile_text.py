"""Hostile names and values on the command line: one printable line, or the name unchanged."""

import os
import signal
import subprocess
import sys
import time

import pytest
from helpers.cli import COMMAND, call

SHORT = ("run", "--set", "run.train=false", "--rounds", 1)


@pytest.fixture
def wirelessfl(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


def refused(ended):
    assert ended.status == 2
    assert ended.out == ""
    line, end = ended.err[:-1], ended.err[-1:]
    assert end == "\n"
    assert line.isprintable()
    assert len(line) < 3500
    return line


def test_a_run_folder_may_have_a_name_that_looks_like_markup(wirelessfl):
    ended = wirelessfl(*SHORT, "--out", "a[/b]")
    assert ended.status == 0, ended.err
    assert "run folder: a[/b]" in ended.out


def test_a_scenario_may_have_a_name_that_looks_like_mathematics(wirelessfl, tmp_path):
    (tmp_path / "m$y_^{$.toml").write_text("[scenario]\nclients = 2\n")
    ended = wirelessfl("allocate", "m$y_^{$.toml", "--plot", "p.png")
    assert ended.status == 0, ended.err


def test_keys_values_and_rows_reach_the_terminal_escaped_and_shortened(wirelessfl, tmp_path):
    (tmp_path / "s.toml").write_text('[scenario]\n"\\u001b[2Jx" = 1\n')
    assert r"\x1b[2Jx" in refused(wirelessfl("run", "s.toml"))
    (tmp_path / "t.csv").write_text("1e-9,2e-9\n1e-9,\x1b[31mred\n")
    line = refused(wirelessfl("run", "--set", "channel.model=trace", "--set", "channel.file=t.csv"))
    assert r"\x1b[31m" in line
    line = refused(wirelessfl("run", "--set", f"scenario.deadline_policy={3000 * 'x'}"))
    assert "deadline_policy" in line
    assert len(line) < 600
    ended = wirelessfl(*SHORT, "--out", "two\nlines")
    assert ended.status == 0
    assert "run folder: two\\nlines" in ended.out


@pytest.mark.slow
def test_an_ascii_terminal_and_an_unknown_backend_of_figures_do_no_harm(tmp_path):
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "MPLBACKEND": "nonsense"}
    ended = subprocess.run(
        [*COMMAND, "allocate", "--plot", "p.png", "--set", "scenario.clients=2"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.isascii()
    assert (tmp_path / "p.png").exists()


@pytest.mark.slow
@pytest.mark.parametrize("moment_s", [0.15, 0.3, 0.6])
def test_ctrl_c_during_start_up_is_one_line(moment_s, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "wirelessfl", "run", "--out", "run"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    time.sleep(moment_s)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.decode().splitlines()[-1].startswith("error: stopped")
    assert b"Traceback" not in err
    assert out == b""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(wirelessfl, tmp_path, monkeypatch):
    monkeypatch.setenv("WIRELESSFL_PLUGINS", str(tmp_path))
    (tmp_path / "channels").mkdir()
    (tmp_path / "channels/loud.py").write_text(
        "import warnings\n"
        "from dataclasses import dataclass\n"
        "from channel_models import Static\n\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Loud:\n"
        "    def sample(self, scenario, streams):\n"
        "        warnings.warn('too\\nloud', stacklevel=1)\n"
        "        return Static().sample(scenario, streams)\n"
    )
    ended = wirelessfl("allocate", "--set", "channel.model=loud", "--json")
    assert ended.status == 0, ended.err
    assert set(ended.err.splitlines()) == {"note: too loud"}


def test_ctrl_c_while_a_command_computes_is_one_line(wirelessfl, monkeypatch, tmp_path):
    def stop(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("studies.views.allocation.schemes.plan", stop)
    ended = wirelessfl("allocate")
    assert ended.status == 130
    assert ended.err.split() == ["error:", "stopped"]
    assert list(tmp_path.iterdir()) == []
