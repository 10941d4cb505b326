"""The server of the page: whom it answers, run folders, the command, and the object in a notebook."""

import http.client
import json
import shutil
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from helpers.cli import call

import wirelessfl as wfl
from studies.page.page import Page
from studies.presets import scenario_tables
from wirelessfl.errors import InputError

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with two complete runs and one in progress."""
    root = tmp_path_factory.mktemp("runs")
    untrained = {"run": {"train": False}}
    for name, method in (("one", "exact"), ("deep/two", "equal")):
        wfl.run({**untrained, "allocation": {"method": method}}, root / name, rounds=4)
    shutil.copytree(root / "one", root / "going")
    (root / "going" / "summary.json").unlink()
    lines = (root / "one" / "rounds.jsonl").read_bytes().splitlines(keepends=True)
    (root / "going" / "rounds.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:20])
    return root


@pytest.fixture(scope="module")
def page(folder):
    with_page = Page({"digits": scenario_tables("digits")}, folder).start()
    yield with_page
    with_page.close()


@pytest.fixture
def get(page):
    """Status, headers and content of a path."""
    port = urlsplit(page.url).port

    def ask(path, **headers):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path, headers=given)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.headers, content

    return ask


def test_an_answer_has_controls_and_parts(get):
    status, headers, content = get("/answer?width=500")
    found = json.loads(content)
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert found["query"] == "scenario=digits"
    assert 'width="500"' in found["parts"]["timeline"]
    assert found["controls"][0]["name"] == "scenario.deadline_s"


def test_an_invalid_state_is_one_line(get):
    status, _, content = get("/answer?scenario.deadline_s=abc")
    assert (status, json.loads(content)) == (
        200,
        {"error": "scenario.deadline_s must be a number, got 'abc'"},
    )
    status, headers, content = get("/file/scenario.toml?scenario.deadline_s=abc")
    assert (status, content) == (400, b"scenario.deadline_s must be a number, got 'abc'\n")
    assert "Content-Disposition" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
@pytest.mark.parametrize(
    "path", ["/", "/answer", "/page.js", "/file/scenario.toml", "/runs/answer"]
)
def test_another_host_is_refused(get, host, path):
    status, _, content = get(path, Host=host)
    assert status in (400, 421)
    assert b"<" not in content


def test_another_origin_is_refused(get, page):
    port = urlsplit(page.url).port
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port + 1}"):
        assert get("/answer", Origin=origin)[0] == 403
    assert get("/answer", Origin=f"http://127.0.0.1:{port}")[0] == 200
    assert get("/answer", Host=f"localhost:{port}")[0] == 200


def test_a_request_that_another_page_sends_is_refused(get):
    for site in ("cross-site", "same-site"):
        for path in ("/answer", "/front", "/file/scenario.toml", "/runs/answer"):
            assert get(path, Sec_Fetch_Site=site)[0] == 403
        assert get("/", Sec_Fetch_Site=site)[0] == 200  # a link
    assert get("/answer", Sec_Fetch_Site="same-origin")[0] == 200


def test_of_fronts_that_wait_the_newest_alone_is_computed(get):
    deadlines = range(20, 26)
    with ThreadPoolExecutor(len(deadlines)) as threads:
        asked = [f"/front?scenario.clients=2{number - 20}" for number in deadlines]
        found = [json.loads(content) for _, _, content in threads.map(get, asked)]
    assert any("parts" in one for one in found)
    assert all(set(one) in ({"parts"}, {"again"}) for one in found)


def test_pages_load_from_themselves_alone(get):
    for path in ("/", "/runs"):
        status, headers, content = get(path)
        assert status == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert b"http" not in content
        assert b"style=" not in content
    for file in ("page.css", "common.js", "page.js", "runs.js"):
        status, _, content = get(f"/{file}")
        assert (status, b"http:" in content, b"https:" in content) == (200, False, False)


@pytest.mark.parametrize(
    "path", ["/..%2f..%2fpyproject.toml", "/file/..%2f..%2fx", "/static/page.js"]
)
def test_nothing_else_is_served(get, path):
    assert get(path)[0] in (400, 404)


def test_a_file_is_saved_under_its_name(get):
    status, headers, content = get("/file/scenario.toml?scenario.clients=3")
    assert status == 200
    assert headers["Content-Disposition"] == 'attachment; filename="scenario.toml"'
    assert b"clients = 3" in content


def test_run_folders_are_listed_and_compared(get):
    _, _, content = get("/runs/answer?run=one&run=deep/two")
    found = json.loads(content)
    assert sorted(found["names"]) == ["deep/two", "going", "one"]
    assert (found["chosen"], found["live"]) == (["one", "deep/two"], False)
    assert '<th scope="col">deep/two</th>' in found["parts"]["table"]
    assert "r1" in found["parts"]["ratio"]
    assert found["parts"]["loss"] == ""  # no training


def test_a_run_in_progress_is_read_up_to_its_last_whole_round(get, folder):
    found = json.loads(get("/runs/answer?run=going")[2])
    assert found["live"]
    assert "<td>2 of 4</td>" in found["parts"]["table"]
    lines = (folder / "one" / "rounds.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "going" / "rounds.jsonl").write_bytes(b"".join(lines[:3]))
    assert "<td>3 of 4</td>" in json.loads(get("/runs/answer?run=going")[2])["parts"]["table"]


@pytest.mark.parametrize("name", ["../one", "/etc", "none"])
def test_only_listed_runs_are_read(get, name):
    found = json.loads(get(f"/runs/answer?run={name}")[2])
    assert "URL parameter run must name a run folder" in found["error"]


def test_the_object_in_a_notebook_is_a_frame():
    shown = wfl.page({"scenario": {"clients": 3}})
    try:
        assert f'src="{shown.url}"' in shown._repr_html_()
        assert "scenario=notebook" in shown.url
    finally:
        shown.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", urlsplit(shown.url).port))


def test_no_runs_folder_is_an_empty_list(tmp_path):
    shown = Page({"digits": scenario_tables("digits")}, tmp_path / "none").start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", urlsplit(shown.url).port, timeout=30)
        connection.request("GET", "/runs/answer")
        found = json.loads(connection.getresponse().read())
        connection.close()
    finally:
        shown.close()
    assert (found["names"], found["chosen"]) == ([], [])


def test_a_port_that_is_taken_is_one_line(capsys, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = call(capsys, monkeypatch, "page", "--port", str(port))
    assert ended.status == 2
    assert f"--host 127.0.0.1 --port {port} cannot be used: Address already in use" in ended.err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["digit"], "SCENARIO must be a TOML file or one of digits"),
        (["--set", "scenario.deadline_s=-1"], "scenario.deadline_s must be above 0, got -1"),
        (["--host", "0.0.0.0"], "--host must be an address that a browser can name"),
        (["--host", "192.0.2.1", "--port", "0"], "--host 192.0.2.1 --port 0 cannot be used"),
    ],
)
def test_invalid_arguments_are_one_line(capsys, monkeypatch, arguments, line):
    ended = call(capsys, monkeypatch, "page", *arguments)
    assert ended.status == 2
    assert line in ended.err


def test_without_the_extra_the_line_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(InputError, match=r'pip install "wirelessfl\[page\]"'):
        Page({"digits": scenario_tables("digits")}, tmp_path)
