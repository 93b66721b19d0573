# One command from a clone to a table: `make table2`. Everything runs in .venv, made on first use.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?=
RUN    := $(BIN)/python -m harness.run $(if $(JOBS),--jobs $(JOBS))

STUDIES := $(filter-out studies/search_%,$(wildcard studies/*.yaml))

.PHONY: table2 paper paper-quick report synthetic ui search bench test test-slow torture test-ray mutants lint schema clean help

help:           ## this list
	@grep -E '^[a-z0-9-]+: .*##|^[a-z0-9-]+:  +##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

$(BIN)/python: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $(BIN)/python

table2: $(BIN)/python  ## Table 2 on the embedded data set
	$(RUN) studies/table2.yaml

paper: $(BIN)/python  ## every study at default scale, then the report card
	$(RUN) $(STUDIES)
	$(BIN)/python -m harness.report --all

paper-quick: $(BIN)/python  ## every study at tiny scale: mechanics only
	$(RUN) $(STUDIES) --quick
	$(BIN)/python -m harness.report --all --quick

report: $(BIN)/python  ## the report card of what has been run
	$(BIN)/python -m harness.report --all

search: $(BIN)/python  ## an Optuna search of CASE's settings
	$(BIN)/python -m harness.search studies/search_case.yaml

synthetic: $(BIN)/python  ## the embedded data set as a folder: make synthetic OUT=DIR [SCALE=tiny] [SEED=0]
	$(BIN)/python -m harness.data synthetic --out $(or $(OUT),synthetic) --scale $(or $(SCALE),default) --seed $(or $(SEED),0)

ui: $(BIN)/python  ## MLflow's pages on 127.0.0.1
	$(BIN)/python -m harness.ui

bench: $(BIN)/python  ## where the time goes, as ratios within one run
	$(BIN)/python -m harness.bench

test: $(BIN)/python  ## the tests, without the slow ones
	$(BIN)/python -m pytest -q -n 2 -m 'not slow'

torture: $(BIN)/python  ## 200 kills at random moments; nothing may be lost
	$(BIN)/python -m tests.torture

test-slow: $(BIN)/python  ## the slow studies and tests
	$(BIN)/python -m pytest -q -n 2 -m slow

test-ray: $(BIN)/python  ## the tests of the executor "ray", with the extra [ray]
	$(BIN)/pip install -q -c constraints.txt -e '.[dev,ray]'
	$(BIN)/python -m pytest -q -m ray tests/test_ray.py

mutants: $(BIN)/python  ## small wrong changes that the tests must notice
	$(BIN)/python -m tests.mutants

lint: $(BIN)/python  ## ruff, import contracts, mypy --strict
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports --no-logo && $(BIN)/mypy

schema: $(BIN)/python  ## JSON Schema of study files, for editors
	$(BIN)/python -m harness.study.json_schema > studies/schema.json

clean:  ## results, caches and the virtual environment
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
	find mlruns -mindepth 1 ! -name .gitkeep -delete
