"""`wirelessfl describe`, `list KIND` and `init`: what a user reads about fields and plug-ins."""

import subprocess
import sys
import tomllib

import pytest
from helpers.cli import call

from studies.presets import preset_files, scenario_tables
from wirelessfl import plugins
from wirelessfl.config.scenario_file import experiment_hash, from_tables, to_tables


@pytest.fixture
def wirelessfl(capsys, monkeypatch):
    return lambda *arguments: call(capsys, monkeypatch, *arguments)


@pytest.mark.parametrize("kind", ["allocators", "datasets", "studies", "presets"])
def test_a_kind_is_listed_with_descriptions(wirelessfl, kind):
    found = wirelessfl("list", kind, "--json").json()
    names = list(preset_files()) if kind == "presets" else plugins.names(kind)
    assert list(found) == names
    assert all(len(text) > 4 for text in found.values())


@pytest.mark.parametrize("name", ["scenario", "run", "rician", "exact", "fedavg", "mce-pl"])
def test_every_key_of_a_section_is_described(wirelessfl, name):
    found = wirelessfl("describe", name, "--json").json()
    section = {"channels": "channel", "allocators": "allocation", "algorithms": "training"}.get(
        found["kind"], name
    )
    tables = {section: {found["use"].partition(".")[2].partition("=")[0]: name}}
    resolved = to_tables(from_tables({} if section == name else tables))[section]
    keys = {field["name"] for field in found["fields"]}
    assert set(resolved) - keys <= {
        "model",
        "method",
        "algorithm",
        "max_pruning_ratio",
        "weights",
    }


@pytest.mark.parametrize("name", ["digits-cnn", "digits", "wfl-table1", "allocation"])
def test_other_names_are_described(wirelessfl, name):
    done = wirelessfl("describe", name)
    assert (done.status, done.err) == (0, "")
    assert name in done.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("describe", "ricean"), ["ricean", "did you mean 'rician'?"]),
        (("list", "channel"), ["KIND", "channels", "'channel'"]),
        (("init", "x.toml", "--from", "digit"), ["SCENARIO", "digits", "'digit'"]),
    ],
)
def test_a_wrong_name_is_one_line(wirelessfl, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    done = wirelessfl(*arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert all(word in done.err for word in words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", preset_files())
def test_a_commented_file_is_the_same_experiment(wirelessfl, tmp_path, preset):
    file = tmp_path / "mine.toml"
    assert wirelessfl("init", file, "--from", preset).status == 0
    text = file.read_text()
    assert max(map(len, text.splitlines())) <= 200
    written = from_tables(tomllib.loads(text))
    assert experiment_hash(written) == experiment_hash(from_tables(scenario_tables(preset)))
    again = wirelessfl("init", file)
    assert (again.status, again.out) == (2, "")
    assert file.read_text() == text


@pytest.mark.parametrize("kind", ["studies", "presets"])
def test_studies_and_presets_are_listed_with_their_cost(wirelessfl, kind):
    found = wirelessfl("list", kind, "--json").json()
    assert all("Cost: " in text and " rounds" in text for text in found.values())
    printed = " ".join(wirelessfl("list", kind).out.split())
    for word in ("wfl-fig5", "2,400 rounds") if kind == "studies" else ("digits", "100 rounds"):
        assert word in printed


def test_the_list_has_a_description_of_every_name(wirelessfl):
    printed = wirelessfl("list").out
    lines = [line.split(maxsplit=1) for line in printed.splitlines()]
    described = {words[0] for words in lines if len(words) == 2}
    for kind in plugins.KINDS:
        assert set(plugins.names(kind)) <= described
    assert set(preset_files()) <= described


MISSPELT = {
    "--set scenario.deadlines=1": "did you mean deadline_s?",
    "--set run.round=3": "did you mean rounds?",
    "--set allocation.method=exakt": "did you mean 'exact'?",
    "--set training.algorithm=fedlat": "did you mean 'fedalt'?",
    "--set chanel.model=rician": "did you mean channel?",
    "--vary scenario.bandwith_hz=1,2": "did you mean bandwidth_hz?",
    "--vary channel.model=rician,rayleig": "did you mean 'rayleigh'?",
}


def test_a_misspelt_name_is_answered_before_anything_heavy_is_imported():
    code = (
        "import sys\n"
        "from studies.cli import main\n"
        "for words in sys.argv[1:]:\n"
        "    sys.argv = ['wirelessfl', 'sweep', *words.split()]\n"
        "    try:\n        main()\n    except SystemExit as stopped:\n        print(stopped)\n"
        "print([name for name in ('torch', 'matplotlib', 'cvxpy') if name in sys.modules])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *MISSPELT], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines() == ["2"] * len(MISSPELT) + ["[]"]
    for line, hint in zip(ended.stderr.splitlines(), MISSPELT.values(), strict=True):
        assert hint in line


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("run", "digts"), "did you mean 'digits'?"),
        (("run", "--set", "scenario.deadline_policy=dorp"), "did you mean 'drop'?"),
        (("run", "--set", "training.partition=label"), "did you mean 'labels'?"),
        (("run", "--set", "training.dataset=digit"), "did you mean 'digits'?"),
        (("sweep", "--vary", "scenario.clients=4", "--measure", "acuracy"), "'accuracy'?"),
        (("list", "algorithm"), "did you mean 'algorithms'?"),
    ],
)
def test_the_closest_name_is_suggested(wirelessfl, tmp_path, monkeypatch, arguments, hint):
    monkeypatch.chdir(tmp_path)
    done = wirelessfl(*arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert hint in done.err
