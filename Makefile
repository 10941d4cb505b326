PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
SECONDS ?= 60
SEED ?= 0

.PHONY: demo test test-slow test-extras test-browser fuzz faults coverage check format lint types contract reference docs docs-serve clean

demo: .venv/installed  ## train on the embedded digits and show the result
	rm -rf runs/demo
	$(BIN)/wirelessfl run digits --out runs/demo

test: .venv/installed  ## the test suite without the tests that are marked slow
	$(BIN)/python -m pytest -q -n auto -m "not slow and not extras and not browser"

test-slow: .venv/installed  ## the tests that are marked slow: kills, several processes
	$(BIN)/python -m pytest -q -n auto -m "slow and not extras and not browser"

test-extras: .venv/extras  ## the tests that need optional packages; they start their own services
	$(BIN)/python -m pytest -q -m extras

test-browser: .venv/installed  ## the page in Debian's chromium; installs Playwright and chromium
	$(BIN)/python -m pip install --quiet --constraint constraints.txt playwright
	command -v chromium || (apt-get update && apt-get install -y --no-install-recommends chromium) || true
	$(BIN)/python -m pytest -q -rs -s -m browser tests/studies/page

fuzz: .venv/installed  ## fuzzed input for SECONDS seconds; a failure is replayed by its SEED and case
	cd tests && PYTHONPATH=.:.. ../$(BIN)/python -m campaign.fuzz --seconds $(SECONDS) --seed $(SEED)

faults: .venv/installed  ## killed runs, full disks, dying workers and ranks for SECONDS seconds
	cd tests && PYTHONPATH=.:.. ../$(BIN)/python -m campaign.faults --seconds $(SECONDS) --seed $(SEED)

coverage: .venv/installed  ## the test suite, with the lines and branches that no test runs
	$(BIN)/python -m pytest -q -n auto -m "not browser" --cov --cov-report=term-missing

check: format lint types contract docs test-slow test  ## everything that must hold before a change lands

format: .venv/installed
	$(BIN)/ruff format --check .

lint: .venv/installed
	$(BIN)/ruff check .

types: .venv/installed
	$(BIN)/mypy

contract: .venv/installed
	$(BIN)/lint-imports

docs: .venv/installed  ## the documentation site in build/site; broken links and missing pages are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --site-dir build/site

docs-serve: .venv/installed  ## the site at http://127.0.0.1:8000, rebuilt when a page changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

reference: .venv/installed  ## the generated reference pages and costs of studies
	$(BIN)/python -m studies.study.costs
	$(BIN)/wirelessfl describe --pages docs/reference

clean:
	rm -rf .venv runs/demo build/site

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,docs]"
	touch $@

.venv/extras: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt \
		--editable ".[dask,search,flower,flower-simulation,coding]"
	touch $@
