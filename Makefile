# What can be done here; `make` alone lists it. Needs Python 3.11 or newer, git and make, and no root.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TOOLS := $(VENV)/.tools
PIP_LOG := $(VENV)/pip.log
PROGRESS := $(shell test -t 2 && echo on || echo off)
PIP := $(BIN)/python -m pip install --quiet --progress-bar $(PROGRESS) --disable-pip-version-check \
  --log $(PIP_LOG) -c constraints.txt
ARGS ?=
# Where torch is taken from; empty is where pip takes everything from.
TORCH_INDEX ?=
# One worker for each core that may be used, but not more than memory for torch; WORKERS=0 tests in one process.
WORKERS ?= $(shell cores=$$(nproc 2>/dev/null || echo 1); [ $$cores -le 8 ] && echo $$cores || echo 8)
# How many runs a soak kills, and the page that it writes of what it did.
KILLS ?= 200
PAGE ?= docs/soak.md
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist worksteal

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-benchmarks test-install soak check check-speed format clean

help:
	@echo 'make setup           create $(VENV) and install claf-tui with all that it runs on'
	@echo 'make demo            set up, then train on drawn shapes in the live console'
	@echo 'make test            set up, add the tools of the tests, then run all tests'
	@echo 'make test-fast       the same without the slow ones'
	@echo 'make test-benchmarks every benchmark at a tiny size; minutes'
	@echo 'make test-install    install the built package into bare environments, and train, measure and audit there'
	@echo 'make soak            the property tests with many times as many examples, and 200 killed runs; half an hour'
	@echo 'make check           formatting, lint, types and import contracts'
	@echo 'make check-speed     whether the speed ratios that were once measured still hold; minutes, on an idle machine'
	@echo 'make format          rewrite the sources as the formatter wants them'
	@echo 'make clean           remove $(VENV) and caches; runs stay'
	@echo
	@echo 'PYTHON=/path/to/python3 chooses the interpreter, ARGS="..." is handed on to claf-tui train, pytest or the gate,'
	@echo 'WORKERS=1 tests in one process at a time, and TORCH_INDEX=URL takes torch from another package index, such as the'
	@echo 'one for CPUs alone that pytorch.org/get-started names, which saves 4 GB.'

setup: $(STAMP)
	@echo 'setup: ready; . $(BIN)/activate puts claf-tui on the path'

$(STAMP): pyproject.toml constraints.txt
	@command -v '$(PYTHON)' >/dev/null 2>&1 || { \
	  echo 'error: $(PYTHON) was not found; install Python 3.11 or newer, or run make PYTHON=/path/to/python3' >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: $(PYTHON) is $$('$(PYTHON)' -V 2>&1), but Python 3.11 or newer is needed;" \
	    'run make PYTHON=/path/to/python3' >&2; exit 1; }
	@'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo 'error: $(PYTHON) has no venv module; install it (Debian and Ubuntu: the package python3-venv)' >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	  echo 'setup: creating $(VENV)'; '$(PYTHON)' -m venv --clear $(VENV); } || { \
	  echo 'error: cannot create $(VENV) here; see above' >&2; exit 1; }
	@echo 'setup 1/2: installing torch, which is large: minutes the first time, seconds afterwards'
	@$(PIP) $(if $(TORCH_INDEX),--index-url '$(TORCH_INDEX)') torch torchvision || { \
	  echo 'error: torch could not be installed: no network, a full disk, or no wheel for this Python;' \
	    'details are in $(PIP_LOG)' >&2; exit 1; }
	@echo 'setup 2/2: installing claf-tui'
	@$(PIP) -e '.[audit]' || { \
	  echo 'error: claf-tui could not be installed; details are in $(PIP_LOG)' >&2; exit 1; }
	@touch $(STAMP)

$(TOOLS): $(STAMP)
	@echo 'setup: adding the tools that test and check claf-tui'
	@$(PIP) -e '.[dev]' || { \
	  echo 'error: the tools could not be installed; details are in $(PIP_LOG)' >&2; exit 1; }
	@touch $(TOOLS)

demo: $(STAMP)
	@$(BIN)/claf-tui train $(ARGS)

test: $(TOOLS)
	@echo 'test: the whole suite; make test-fast leaves the slow tests out, make test-benchmarks runs the benchmarks'
	@$(PYTEST) $(ARGS)

test-fast: $(TOOLS)
	@$(PYTEST) -m 'not slow and not benchmark' $(ARGS)

test-benchmarks: $(TOOLS)
	@$(BIN)/pytest -m benchmark tests/benchmarks $(ARGS)

test-install:
	@PYTHON='$(PYTHON)' .ci/test-install $(ARGS)

soak: $(TOOLS)
	@echo 'soak: the property tests with examples that no run has seen before, and $(KILLS) killed runs; writes $(PAGE)'
	@HYPOTHESIS_PROFILE=soak CLAF_SOAK_KILLS=$(KILLS) CLAF_SOAK_PAGE=$(PAGE) \
	  $(PYTEST) -m 'hypothesis or soak' --timeout 3600 $(ARGS)

check: $(TOOLS)
	@echo 'check 1/4: formatting'
	@$(BIN)/ruff format --check
	@echo 'check 2/4: lint'
	@$(BIN)/ruff check
	@echo 'check 3/4: types'
	@$(BIN)/mypy
	@echo 'check 4/4: import contracts'
	@$(BIN)/lint-imports

check-speed: $(TOOLS)
	@$(BIN)/python -m benchmarks.gate $(ARGS)

format: $(TOOLS)
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

clean:
	@echo 'clean: removing $(VENV), caches and build leftovers'
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
	@find benchmarks claf_engine claf_tui tests -name __pycache__ -type d -prune -exec rm -rf {} +
