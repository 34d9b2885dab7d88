# make run: the whole product on this machine. make test, make check: what CI runs. Everything lands in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run install test check soak retrieval bench bench-tools bench-memory clean

run: install
	@exec $(BIN)/voice-gateway serve

install: $(VENV)/.installed

CHROMIUM := $(firstword $(foreach name,chromium chromium-browser google-chrome,$(shell command -v $(name))))

test: $(VENV)/.installed-dev
	$(if $(CHROMIUM),,@echo "no Chromium on PATH: the tests of the web page are left out")
	$(BIN)/python -m pytest $(if $(CHROMIUM),,-m "not browser")

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The kill loop of the tests with 1,000 turns in place of 300: worker, gateway and store die, the checker looks on.
soak: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -s --timeout 900 --kill-turns 1000 tests/test_memory_kills.py -k kills_at_random

# DATA=FILE: conversations with questions, as LoCoMo is published; the README says where.
retrieval: $(VENV)/.installed-dev
	@test -n "$(DATA)" || { echo "make retrieval DATA=FILE"; exit 2; }
	@$(BIN)/python -m tests.retrieval $(DATA)

# What the gateway adds to a simulated provider's latency on this machine, in a minute.
bench: install
	@$(BIN)/voice-gateway bench --self

# How long the tools of a turn take to start and to be done with, and a run that is waited for against one that streams.
bench-tools: $(VENV)/.installed-dev
	@$(BIN)/python -m benchmarks.tool_calls

# Memory's figures on this machine (Linux), over stores in a temporary directory; fails if one is not what it should be.
bench-memory: $(VENV)/.installed-dev
	@$(BIN)/python -m benchmarks.memory

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else "voice-gateway needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d: make PYTHON=python3.12" % v)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "installing into $(VENV) ..."
	@$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP) install --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV)
