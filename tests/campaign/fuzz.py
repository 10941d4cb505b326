"""Fuzzed input: each case ends with a valid result, or with one line, status 2 and nothing created.

`python -m campaign.fuzz --seconds 60 --seed 1` runs cases until the time is over; a failure is
named by its seed and number, and `--case NUMBER` runs it again.
"""

import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from campaign.cli import Case, campaign
from campaign.forks import Outcome, run
from wirelessfl import plugins
from wirelessfl.config.fields import flat, known_fields
from wirelessfl.config.scenario_file import SELECTORS, plugin_class
from wirelessfl.experiment import RunSettings
from wirelessfl.values import Scenario

LIMIT_S = 120.0
NUMBERS = (
    *(0, 1, -1, 2, 3, 7, 0.5, 1.0, 1e-3, 1e3, 1e-9, 1e9, 1e-30, 1e30, 1e-60, 1e60, 1e-65, 1e65),
    *(1e-308, 5e-324, 1e308, 10**18, 10**30, -1e-9, 0.1, 0.9999999999, 1.0000000001),
)
WORDS = (
    *(
        "''",
        '"x"',
        "true",
        "false",
        "nan",
        "inf",
        "-inf",
        "[]",
        "[1]",
        "[1, 2]",
        "[[0, 1], [1, 0]]",
    ),
    *(
        "[[[[]]]]",
        "{}",
        "1e999",
        "0x10",
        "1979-05-27",
        '"\\u001b[2J"',
        '"[/b]"',
        "'$^{$'",
        "'1 km'",
    ),
    *("'10MHz'", "'-90 dBm'", "'uniform(1, 3)'", "9" * 400, "[" * 50 + "]" * 50),
)
SAFE_RUN = ("run.train=false", "run.rounds=2")


def fields_of(section: str, chance: random.Random) -> tuple[str, list[tuple[str, Any]]]:
    """A plug-in of a section and the names of its fields with their defaults."""
    if section in ("scenario", "run"):
        return "", _defaults(Scenario if section == "scenario" else RunSettings)
    kind = SELECTORS[section][1]
    names = [name for name in plugins.names(kind) if name != "sionna-tdl"]
    name = chance.choice(names)
    return name, _defaults(plugin_class(section, name))


def _defaults(cls: Any) -> list[tuple[str, Any]]:
    try:
        values = flat(cls())
    except TypeError:  # fields without a default
        values = {}
    return [(name, values.get(name)) for name in known_fields(cls)]


def value_of(chance: random.Random, usual: Any = None) -> str:
    """A value as text, near the usual one in some of the cases."""
    if isinstance(usual, float | int) and not isinstance(usual, bool) and chance.random() < 0.6:
        near = usual * 10 ** chance.uniform(-2, 2)
        return str(round(near)) if isinstance(usual, int) else f"{near:.6g}"
    draw = chance.random()
    if draw < 0.55:
        return repr(chance.choice(NUMBERS))
    if draw < 0.75:
        return f"{10 ** chance.uniform(-12, 12):.6g}"
    return chance.choice(WORDS)


def settings_of(chance: random.Random) -> list[str]:
    """Random settings `section.field=value`."""
    found = []
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        section = chance.choice(
            ("scenario", "scenario", "channel", "allocation", "training", "run")
        )
        name, fields = fields_of(section, chance)
        if name:
            found.append(f"{section}.{SELECTORS[section][0]}={name}")
        if fields:
            field, usual = chance.choice(fields)
            found.append(f"{section}.{field}={value_of(chance, usual)}")
    return found


def options(settings: list[str]) -> list[str]:
    """Command-line options of settings."""
    return [part for setting in settings for part in ("--set", setting)]


def snapshot(folder: Path) -> dict[str, bytes]:
    """Files of a folder with their contents."""
    return {
        str(file.relative_to(folder)): file.read_bytes() if file.is_file() else b""
        for file in sorted(folder.rglob("*"))
    }


def check(ended: Outcome, folder: Path, before: dict[str, bytes], *created: str) -> bool:
    """Check the outcome; True for a valid result."""
    assert ended.status in (0, 2), ended
    assert "Traceback" not in ended.err, ended
    if ended.status == 0:
        return True
    lines = ended.error_lines
    assert len(lines) == 1, ended
    assert lines[0].startswith("error: "), ended
    assert lines[0].isprintable(), ended
    assert len(lines[0]) < 4000, ended
    assert ended.out == "", ended
    after = snapshot(folder)
    new = {name for name in after.keys() - before.keys() if name.split("/")[0] not in created}
    assert not new, f"created {sorted(new)}: {ended}"
    changed = [name for name in before if after.get(name) != before[name]]
    assert not changed or created, f"changed {changed}: {ended}"
    return False


def strict(text: str) -> Any:
    """The value of a JSON text without NaN and Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def check_run(folder: Path) -> None:
    """Invariants of the records of a run."""
    summary = strict((folder / "summary.json").read_text())
    clock_s = 0.0
    lines = (folder / "rounds.jsonl").read_text().splitlines()
    assert len(lines) == summary["rounds"]
    for line in lines:
        record = strict(line)
        fractions = record["bandwidth_fraction"]
        assert all(0 <= fraction <= 1 for fraction in fractions), record
        assert sum(fractions) <= 1 + 1e-6, record
        assert all(0 <= ratio <= 1 for ratio in record["pruning_ratio"]), record
        assert all(second is None or second >= 0 for second in record["latency_s"]), record
        assert 0 <= record["band_utilisation"] <= 1, record
        assert record["clock_s"] >= clock_s, record
        assert all(value >= 0 for value in record["uplink_bits"]), record
        assert all(value is None or value >= 0 for value in record["energy_j"]), record
        clock_s = record["clock_s"]


def _is_long(setting: str) -> bool:
    """True for settings that are valid and take minutes: training, and very many clients."""
    name, _, value = setting.partition("=")
    if name in ("run.train", "run.rounds"):
        return True
    try:
        return name == "scenario.clients" and 2e4 < float(value) < 1.1e6
    except ValueError:
        return False


def scenarios(case: Case) -> str:
    """Random settings of `run` without training."""
    settings = [*SAFE_RUN, *settings_of(case.chance)]
    settings = [one for one in settings if not _is_long(one)]
    settings += [*SAFE_RUN]
    before = snapshot(case.folder)
    command = ["run", *options(settings), "--out", "out", "--json"]
    ended = run(*command, folder=case.folder, limit_s=LIMIT_S)
    try:
        if check(ended, case.folder, before):
            strict(ended.out)
            check_run(case.folder / "out")
            case.count("valid runs")
    except AssertionError as error:
        raise AssertionError(f"{' '.join(command)}: {error}") from None
    return "scenarios"


def commands(case: Case) -> str:
    """Random settings and options of the other commands."""
    settings = settings_of(case.chance)
    draw = case.chance
    command = draw.choice(
        (
            ["allocate", "--json"],
            ["allocate", "--compare", "exact,equal,min-latency,select", "--json"],
            ["allocate", "--plot", draw.choice(("a.png", "a$^{.svg", "x/y.png", "a.txt"))],
            ["simulate", "--rounds", "3", "--json"],
            ["whatif", "--vary", f"scenario.deadline_s={draw.choice(NUMBERS)}:0.03:3", "--json"],
            ["whatif", "--vary", f"scenario.clients={draw.choice(WORDS)}"],
            ["describe", draw.choice(("exact", "fedalt", "digits", "x\x1b[2J", "[/b]", ""))],
            ["list", draw.choice(("channels", "studies", "nothing", "\x1b"))],
            ["channel", draw.choice(("rayleigh", "static", "trace", "x")), "--rounds", "3"],
            ["data", "show"],
            ["init", draw.choice(("a.toml", "x/y.toml", "a[/b].toml"))],
            ["export", draw.choice(("nothing", ".")), "-o", "m.safetensors"],
            # An empty file is the default experiment, whose 50 rounds may take minutes.
            [
                *("run", "--rounds", "1"),
                draw.choice(("nothing.toml", "/dev/zero", ".", "/dev/null", "x" * 5000)),
            ],
        )
    )
    takes = ("allocate", "simulate", "whatif", "channel", "data", "run")
    command = [*command, *(options(settings) if command[0] in takes else ())]
    if command[0] == "channel":
        kept = [one for one in settings if one.startswith(("channel.", "scenario."))]
        command = [*command[:4], *options([one for one in kept if "channel.model" not in one])]
    before = snapshot(case.folder)
    ended = run(*command, folder=case.folder, limit_s=LIMIT_S)
    try:
        if check(ended, case.folder, before) and "--json" in command:
            strict(ended.out)
    except AssertionError as error:
        raise AssertionError(f"{' '.join(command)!r}: {error}") from None
    case.count(f"command {command[0]}")
    return "commands"


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Bytes with some damage: flipped, cut, repeated, inserted."""
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        place = chance.randrange(len(damaged) + 1)
        match chance.choice(("flip", "flip", "cut", "insert", "repeat", "zero")):
            case "flip" if damaged:
                damaged[place % len(damaged)] = chance.randrange(256)
            case "cut":
                del damaged[place:]
            case "insert":
                damaged[place:place] = chance.choice(
                    (b"[" * 300, b"\xff\xfe", b"\n\n", b",", b"nan", b"1e999", b"\x00", b"9" * 5000)
                )
            case "repeat":
                damaged[place:place] = damaged[: chance.randrange(1, 200)]
            case _:
                damaged[place : place + 8] = bytes(8)
    return bytes(damaged)


def toml(case: Case) -> str:
    """Damaged scenario files."""
    text = "\n".join(
        f"[{section}]\n{key} = {value}"
        for section, key, value in (
            ("scenario", "clients", 3),
            ("channel", "model", '"static"'),
            ("allocation", "method", '"equal"'),
            ("run", "rounds", 2),
        )
    )
    (case.folder / "s.toml").write_bytes(mutated(text.encode(), case.chance))
    return _with_file(case, ["run", "s.toml", *options([*SAFE_RUN]), "--out", "out"])


def traces(case: Case) -> str:
    """Damaged traces, as CSV and as NPZ."""
    chance = case.chance
    if chance.random() < 0.5:
        header = chance.choice(("", "gain_0,gain_1\n", "time_s,a,b\n", "round,client,snr_db\n"))
        rows = "".join(f"{n},{chance.choice(NUMBERS)},1e-11\n" for n in range(1, 5))
        name = "t.csv"
        data = (header + (rows if header.count(",") != 1 else "1e-11,2e-11\n" * 3)).encode()
        (case.folder / name).write_bytes(data if chance.random() < 0.3 else mutated(data, chance))
    else:
        name = "t.npz"
        gain = np.full((4, 3), 1e-11) * chance.choice(NUMBERS)
        with np.errstate(all="ignore"):
            np.savez(case.folder / name, gain=gain.astype(np.float64))
        data = (case.folder / name).read_bytes()
        (case.folder / name).write_bytes(data if chance.random() < 0.3 else mutated(data, chance))
    settings = ["channel.model=trace", f"channel.file={name}", "channel.repeat=true"]
    settings += ["scenario.clients=2", *SAFE_RUN]
    return _with_file(case, ["run", *options(settings), "--out", "out"])


def _with_file(case: Case, command: list[str]) -> str:
    before = snapshot(case.folder)
    ended = run(*command, folder=case.folder, limit_s=LIMIT_S)
    try:
        if check(ended, case.folder, before):
            check_run(case.folder / "out")
            case.count("valid runs")
    except AssertionError as error:
        files = {name: data[:2000] for name, data in before.items()}
        raise AssertionError(f"{' '.join(command)}: {error}\n{files}") from None
    return command[0]


def folders(case: Case) -> str:
    """Damaged run folders and checkpoints, resumed: the same bytes, or one line."""
    chance = case.chance
    settings = ["scenario.clients=2", "run.checkpoint_every=1", "scenario.deadline_policy=drop"]
    command = ["run", *options([*settings, "run.train=false"]), "--rounds"]
    run(*command, 6, "--out", "whole", folder=case.folder)
    run(*command, 4, "--out", "out", folder=case.folder)
    whole = (case.folder / "whole" / "rounds.jsonl").read_bytes()
    names = ("rounds.jsonl", "experiment.toml", "checkpoint-000004.npz", "checkpoint-000003.npz")
    for name in chance.sample(names, chance.choice((1, 1, 2))):
        file = case.folder / "out" / name
        if chance.random() < 0.1:
            file.unlink()
        else:
            file.write_bytes(mutated(file.read_bytes(), chance))
    damaged = snapshot(case.folder)
    ended = run(*command, 6, "--out", "out", "--resume", folder=case.folder, limit_s=LIMIT_S)
    try:
        if check(ended, case.folder, damaged, "out"):
            found = (case.folder / "out" / "rounds.jsonl").read_bytes()
            assert found == whole, f"other bytes after damage: {ended}"
            case.count("folders repaired")
        else:
            case.count("folders refused")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{ {n: d[:300] for n, d in damaged.items()} }") from None
    return "folders"


ALLOCATOR = """\
from dataclasses import dataclass
import numpy as np
from wirelessfl import Allocation

@dataclass(frozen=True, kw_only=True)
class Odd:
    def solve(self, problem):
        n = problem.shape[-1]
        given = dict(
            problem=problem, bandwidth_fraction=np.full(n, 1 / n), pruning_ratio=np.full(n, 0.5),
            bandwidth_price=np.array(0.0), deadline_price=np.array(0.0))
        given["{name}"] = {value}
        return Allocation(**given)
"""
RETURNED = (
    *("None", "3", "'x'", "[]", "np.ones(n)", "np.full(n, np.nan)", "np.full(n, -1e-12)"),
    *("np.full((n, 1), 0.1)", "np.full(n, 1 + 1e-10)", "np.zeros(n)", "np.ones(n, dtype=int)"),
    *("np.full(n, 1e-300)", "problem", "1 / 0", "np.array(np.inf)", "np.full(n, '0.1')"),
    *("np.float64(0.1)", "np.full(n, 1e308) * 10", "(lambda: None)", "np.linspace(0, 1, n)"),
)


def plug_ins(case: Case) -> str:
    """Allocators that return anything."""
    chance = case.chance
    name = chance.choice(
        ("bandwidth_fraction", "pruning_ratio", "bandwidth_price", "left_out", "exact_kept")
    )
    file = case.folder / "plugins" / "allocators" / "odd.py"
    file.parent.mkdir(parents=True)
    file.write_text(ALLOCATOR.format(name=name, value=chance.choice(RETURNED)))
    settings = ["allocation.method=odd", "scenario.clients=3", *SAFE_RUN]
    command = ["run", *options(settings), "--out", "out"]
    before = snapshot(case.folder)
    ended = run(
        *command,
        folder=case.folder,
        limit_s=LIMIT_S,
        environment={"WIRELESSFL_PLUGINS": "plugins", "PYTHONDONTWRITEBYTECODE": "1"},
        prepare=lambda: setattr(sys, "dont_write_bytecode", True),
    )
    try:
        if check(ended, case.folder, before):
            check_run(case.folder / "out")
    except AssertionError as error:
        raise AssertionError(f"{file.read_text()}: {error}") from None
    return "plug-ins"


KINDS: dict[Callable[[Case], str], int] = {
    scenarios: 8,
    commands: 6,
    toml: 3,
    traces: 4,
    folders: 3,
    plug_ins: 2,
}


if __name__ == "__main__":
    sys.exit(campaign("fuzz", KINDS))
