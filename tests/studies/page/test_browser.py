"""The page in Debian's chromium, driven by Playwright: `make test-browser`."""

import csv
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

import pytest

import wirelessfl as wfl
from optimizers import repair, solve
from studies.page.controls import FIELDS
from wirelessfl.border import gate
from wirelessfl.config.axis import Axis
from wirelessfl.config.scenario_file import from_tables
from wirelessfl.planning import plan

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
KEY_MS = 100.0  # from a key to the changed picture, median
START_S = 3.0  # from the start of the command to its first answer
CHANGES = 30
READY = "#results[aria-busy=false]:not(.first)"
FRONT = "#front:not(.stale) svg"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a complete run and one in progress."""
    root = tmp_path_factory.mktemp("runs")
    wfl.run({"run": {"eval_every": 1}}, root / "whole", rounds=3)
    shutil.copytree(root / "whole", root / "going")
    (root / "going" / "summary.json").unlink()
    write_rounds(root, 1)
    return root


def write_rounds(root, count):
    """Let the run in progress have `count` rounds."""
    lines = (root / "whole" / "rounds.jsonl").read_bytes().splitlines(keepends=True)
    (root / "going" / "rounds.jsonl").write_bytes(b"".join(lines[:count]))


@pytest.fixture(scope="module")
def server(runs):
    """A started `wirelessfl page`: its process and address."""
    command = [str(Path(sys.executable).parent / "wirelessfl"), "page", "--port", "0"]
    with subprocess.Popen(
        [*command, "--runs", str(runs)], stdout=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline()
        yield process, re.search(r"http://127\.0\.0\.1:\d+", line)[0]
        process.terminate()


@pytest.fixture(scope="module")
def chromium():
    """The browser."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium: apt-get install --no-install-recommends chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, server):
    """Open a path in a new window; errors and outside requests fail the test at its end."""
    address = server[1]
    contexts, errors, outside = [], [], []

    def check(request):
        if not request.url.startswith((address, "data:", "blob:")):
            outside.append(request.url)

    def open_page(path="/", **settings):
        given = {"viewport": {"width": 1280, "height": 900}, **settings}
        context = chromium.new_context(accept_downloads=True, **given)
        contexts.append(context)
        page = context.new_page()
        page.on("request", check)
        page.on("console", lambda said: said.type == "error" and errors.append(said.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address + path)
        page.wait_for_selector("#results[aria-busy=false]", state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
    assert outside == []


def changes_in(url):
    """The scenario, changes of its fields, and second method that a URL holds."""
    given = dict(parse_qsl(urlsplit(url).query))
    scenario = given.pop("scenario")
    given.pop("compare", None)
    changes = {}
    for name, text in given.items():
        section, _, field = name.partition(".")
        changes.setdefault(section, {})[field] = Axis.of(name, text).values[0]
    return scenario, changes


def solved(url):
    """The problem of a URL's first round and the answer of `optimizers.solve`."""
    scenario, changes = changes_in(url)
    experiment = wfl.read(scenario, changes)
    demand = gate.first_demand(experiment.algorithm, experiment.scenario.clients)
    problem = plan(experiment, demand).problem
    return problem, solve(problem, experiment.allocator)


def clients_on(page):
    """The table of clients as columns."""
    table = page.locator("#clients table").first
    headings = table.locator("thead th").all_inner_texts()
    cells = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
    return {name: [row[place] for row in cells] for place, name in enumerate(headings)}


def check_numbers(page):
    """Compare the table of clients and the outcome with the solver, to the digits shown."""
    _, expected = solved(page.url)
    found = clients_on(page)
    assert found["band %"] == [f"{100 * one:.2f}" for one in expected.bandwidth_fraction]
    assert found["pruned %"] == [f"{100 * one:.2f}" for one in expected.pruning_ratio]
    latency = [f"{1e3 * one:.3f}" for one in expected.latency_s]
    assert [one.removesuffix(" late") for one in found["latency ms"]] == latency
    assert found["status"] == expected.status.tolist()
    outcome = page.locator("#outcome").inner_text()
    assert f"{100 * expected.kept_fraction.mean():.2f} %" in outcome


def slider(page, name):
    return page.locator(f"[id='in-{name}-slider']")


def wait_for(page, name):
    """Wait until the URL holds a field, which it does when its answer is shown."""
    page.wait_for_url(re.compile(re.escape(name) + "="))


KEYS = {  # field -> key on its slider
    "scenario.deadline_s": "ArrowLeft",
    "scenario.bandwidth_hz": "ArrowRight",
    "scenario.transmit_power_dbm": "ArrowRight",
    "scenario.clients": "ArrowLeft",
    "channel.antennas": "ArrowRight",
    "allocation.max_pruning_ratio": "ArrowLeft",
    "run.seed": "ArrowRight",
}
WORDS = {
    "allocation.method": "max-min",
    "channel.model": "static",
    "channel.csi": "mean",
    "scenario.deadline_policy": "drop",
}


def test_every_field_is_tried_below():
    assert {*KEYS, *WORDS} == set(FIELDS)


@pytest.mark.parametrize("name", KEYS)
def test_a_key_on_a_slider_changes_the_numbers_to_those_of_the_solver(visit, name):
    page = visit()
    before = page.locator("#clients").inner_html()
    slider(page, name).focus()
    page.keyboard.press(KEYS[name])
    wait_for(page, name)
    assert page.locator("#clients").inner_html() != before
    assert page.locator(f"[id='in-{name}']").input_value() == slider(page, name).input_value()
    check_numbers(page)


@pytest.mark.parametrize("name", WORDS)
def test_a_choice_changes_the_numbers_to_those_of_the_solver(visit, name):
    page = visit("/?channel.csi=quantile" if name == "scenario.deadline_policy" else "/")
    before = page.locator("#results").inner_html()
    page.locator(f"[id='in-{name}']").focus()
    page.locator(f"[id='in-{name}']").select_option(WORDS[name])
    wait_for(page, name)
    assert page.locator("#results").inner_html() != before
    check_numbers(page)


def test_no_key_is_lost_while_answers_are_awaited(visit):
    page = visit()
    field = slider(page, "scenario.deadline_s")
    before, step = float(field.input_value()), float(field.get_attribute("step"))
    field.focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    last = f"{before + 12 * step:.10g}"
    page.wait_for_url(re.compile(rf"scenario\.deadline_s={re.escape(last)}ms"))
    assert field.input_value() == last
    check_numbers(page)


def test_a_number_that_is_typed_counts_as_it_stands(visit):
    page = visit()
    page.locator("[id='in-scenario.deadline_s']").fill("31.25")
    page.wait_for_url(re.compile(r"scenario\.deadline_s=31\.25ms"))
    check_numbers(page)
    assert page.locator("#timeline").get_by_text("deadline 31.25 ms").count() == 1


def test_another_scenario_resets_the_controls(visit):
    page = visit("/?scenario.deadline_s=20ms")
    page.locator("#in-scenario").select_option("physical")
    page.wait_for_url(re.compile(r"\?scenario=physical$"))
    assert page.locator("[id='in-scenario.deadline_s']").input_value() == "50"
    check_numbers(page)
    assert page.locator("#drop svg").get_attribute("aria-label") == "map of the clients"


def test_two_methods_stand_side_by_side(visit):
    page = visit()
    page.locator("#in-compare").select_option("equal")
    page.wait_for_url(re.compile("compare=equal"))
    page.wait_for_selector("#front:not(.stale) polyline.m1", state="attached")
    assert page.locator("#outcome thead th").all_inner_texts() == ["", "exact", "equal"]
    assert page.locator("#allocation rect.m1").count() == 20
    assert page.locator("#timeline").get_by_text("client (equal)").count() == 1


def test_the_url_gives_the_same_page_again(visit):
    query = (
        "/?scenario=physical&scenario.deadline_s=41ms&scenario.clients=7"
        "&channel.csi=mean&scenario.deadline_policy=drop&run.seed=2&compare=equal"
    )
    page = visit(query)
    page.wait_for_selector(FRONT)
    assert page.url.endswith(query)
    first = page.locator("#results").inner_html()
    page.reload()
    page.wait_for_selector(READY)
    page.wait_for_selector(FRONT)
    assert page.locator("#results").inner_html() == first


def test_infeasible_clients_have_a_reason_and_the_least_repair(visit):
    page = visit("/?scenario.deadline_s=5.5ms")
    problem, allocation = solved(page.url)
    found = repair(problem)
    assert allocation.reason in page.locator("#reasons").inner_text()
    page.wait_for_selector("#repairs p")
    said = page.locator("#repairs").inner_text()
    assert f"a deadline of {5.5 + 1e3 * float(found.shortfall_s):.6g} ms" in said


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("scenario.deadline_s=abc", "scenario.deadline_s must be a number, got 'abc'"),
        ("scenario=none", "URL parameter scenario must be one of digits"),
        ("scenario.price=3", "URL parameter 'scenario.price' is not known"),
        ("channel.model=trace", "channel.file must name a recorded trace"),
        ("scenario=%3Cscript%3Ealert(1)%3C/script%3E", "got '<script>alert(1)</script>'"),
    ],
)
def test_an_invalid_url_is_a_line_on_the_page(visit, query, line):
    page = visit(f"/?{query}")
    assert line in page.locator("#error").inner_text()
    page.locator("#reset").click()
    page.wait_for_selector(READY)
    assert not page.locator("#error").is_visible()
    check_numbers(page)


def test_an_invalid_value_of_a_control_is_a_line_and_the_next_one_counts(visit):
    page = visit()
    page.locator("[id='in-scenario.clients']").fill("0")
    page.wait_for_selector("#error:not([hidden])")
    assert (
        "scenario.clients must be a whole number of at least 1, got 0"
        in page.locator("#error").inner_text()
    )
    page.locator("[id='in-scenario.clients']").fill("6")
    page.wait_for_url(re.compile(r"scenario\.clients=6"))
    assert not page.locator("#error").is_visible()
    check_numbers(page)


def test_files_are_saved(visit, tmp_path):
    page = visit("/?scenario.deadline_s=22ms&allocation.method=equal")

    def saved(name):
        with page.expect_download() as download:
            page.locator(f"[data-file='{name}']").click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    tables = tomllib.loads(saved("scenario.toml").read_text())
    scenario, changes = changes_in(page.url)
    assert from_tables(tables) == wfl.read(scenario, changes)
    assert len(wfl.run(tmp_path / "scenario.toml", rounds=1)) == 1
    rows = list(csv.DictReader(saved("allocation.csv").read_text().splitlines()))
    _, expected = solved(page.url)
    bands = [float(row["bandwidth_fraction"]) for row in rows]
    assert bands == pytest.approx(expected.bandwidth_fraction)
    assert saved("timeline.png").read_bytes().startswith(b"\x89PNG")
    assert ElementTree.fromstring(saved("allocation.svg").read_bytes()).tag.endswith("svg")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_and_the_button(visit, scheme):
    page = visit(color_scheme=scheme)
    colour = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(colour)
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    page.locator("#theme").click()
    assert page.evaluate(colour) != before
    page.reload()
    page.wait_for_selector(READY)
    assert page.evaluate("document.documentElement.dataset.theme") != scheme


@pytest.mark.parametrize("path", ["/?compare=equal&scenario.clients=24", "/runs?run=whole"])
def test_a_phone_shows_the_page_without_scrolling_sideways(visit, path):
    page = visit(path, viewport={"width": 360, "height": 780})
    page.wait_for_selector(READY)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 360
    sizes = page.locator(".picture svg text").evaluate_all(
        "all => all.map(one => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 11


def test_runs_are_compared_and_a_run_in_progress_is_live(visit, runs):
    write_rounds(runs, 1)
    page = visit("/runs?run=whole")
    page.locator("#runs input[value=going]").check()
    page.wait_for_url(re.compile("run=going"))
    page.wait_for_selector("#table th:text-is('going')")
    assert "a run is in progress" in page.locator("#state").inner_text()
    assert page.locator("#score svg").count() == 1
    assert page.locator("#loss svg").get_by_text("round").count() == 0
    shown = page.locator("#table td:has-text(' of 3')")
    assert shown.all_inner_texts() == ["1 of 3"]
    write_rounds(runs, 2)
    page.wait_for_selector("#table td:has-text('2 of 3')", timeout=15_000)


def cpu_s(process):
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def contention():
    """Wall-clock over CPU seconds of fixed work: 1 on a quiet machine."""
    wall, cpu = time.perf_counter(), time.process_time()
    sum(value * value for value in range(2_000_000))
    return max(1.0, (time.perf_counter() - wall) / (time.process_time() - cpu))


CHANGED = """name => new Promise(done => {
  const slider = document.getElementById(`in-${name}-slider`);
  const picture = document.getElementById("timeline");
  slider.addEventListener("keydown", () => {
    const start = performance.now();
    new MutationObserver((_, observer) => {
      observer.disconnect();
      requestAnimationFrame(() => done(performance.now() - start));
    }).observe(picture, {childList: true});
  }, {once: true});
  slider.focus();
})"""


def test_a_key_changes_the_picture_within_the_target(visit, server, record_property):
    """Measured in the browser; a busy machine may take longer by the factor of its contention."""
    page = visit()
    page.wait_for_selector(FRONT)
    name = "scenario.deadline_s"
    slow, milliseconds = [], []
    before_s = cpu_s(server[0])
    for _ in range(CHANGES):
        slow.append(contention())
        done = page.evaluate_handle(f"({{changed: ({CHANGED})('{name}')}})")
        page.keyboard.press("ArrowRight")
        milliseconds.append(done.evaluate("one => one.changed"))
    each_ms = 1e3 * (cpu_s(server[0]) - before_s) / CHANGES
    median = statistics.median(milliseconds)
    print(
        f"\nkey to picture: median {median:.0f} ms, {min(milliseconds):.0f} to "
        f"{max(milliseconds):.0f}; server {each_ms:.0f} ms of CPU each; contention "
        f"{statistics.median(slow):.2f}"
    )
    assert median <= KEY_MS * statistics.median(slow)
    check_numbers(page)


def test_the_first_answer_comes_within_the_target(chromium):
    """The target in seconds of the server's CPU, of which a busy machine gives it fewer a second."""
    command = [str(Path(sys.executable).parent / "wirelessfl"), "page", "--port", "0"]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"http://\S+", process.stdout.readline())[0]
            page = chromium.new_page()
            page.goto(address)
            page.wait_for_selector(READY)
            seconds = time.perf_counter() - start
            busy_s = cpu_s(process)
            page.close()
        finally:
            process.terminate()
    print(f"\nfirst answer: {seconds:.2f} s after the start, {busy_s:.2f} s of CPU")
    assert busy_s <= START_S
