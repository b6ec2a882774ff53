# Everything a newcomer types. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Pinned versions for people, images and CI alike.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --no-input
ARGS ?=
# How many nodes `make swarm-test` makes a swarm of.
NODES ?= 1
# Many tests wait, so files of them run beside each other; those that breed want all cores.
BESIDE := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile
# `make test ARGS='-k word'` may choose none of one kind: pytest's code 5.
NONE_CHOSEN := [ $$? -eq 5 ]

.DEFAULT_GOAL := help
.PHONY: help demo up install check format test test-quick test-full swarm-test setup constraints clean

help:  ## List these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 14

demo: $(VENV)/.serving  ## Images in, a bred network out, served: ARGS='--exit --seconds 60'
	@$(BIN)/dicebox demo $(ARGS)

up: $(VENV)/.serving  ## Serve page, API and workers of ./dicebox-data
	@$(BIN)/dicebox up $(ARGS)

install: $(VENV)/.development  ## Make .venv with everything for development

check: $(VENV)/.development  ## Lint, types and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.development  ## Put the code into its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

test: setup check  ## All checks and tests, the demo from end to end included
	@$(BESIDE) -m "not campaign and not alone" $(ARGS) || $(NONE_CHOSEN)
	@$(BIN)/python -m pytest -m "alone and not campaign" $(ARGS) || $(NONE_CHOSEN)

test-quick: $(VENV)/.development  ## Unit and contract tests alone
	@$(BESIDE) $(ARGS)

test-full: setup check  ## All tests, the long campaigns at full counts and, as root, swarm-test
	@DICEBOX_CAMPAIGN=full $(BESIDE) -m "not alone" $(ARGS) || $(NONE_CHOSEN)
	@DICEBOX_CAMPAIGN=full $(BIN)/python -m pytest -m "alone" $(ARGS) || $(NONE_CHOSEN)
	@[ "$$(id -u)" -ne 0 ] || $(MAKE) swarm-test ARGS=

swarm-test: $(VENV)/.development  ## Deploy, load, break and update the stack on Docker engines of its own (as root; NODES=3)
	@SETUP=apt tests/system_packages.sh swarm
	@$(BIN)/python -m benchmarks.swarm --nodes $(NODES) $(ARGS) all

setup: $(VENV)/.development  ## See to the system packages that tests start (SETUP=apt installs)
	@tests/system_packages.sh

constraints:  ## Write the versions that pip chooses today to constraints.txt
	@tests/freeze_constraints.sh $(PYTHON)

clean:  ## Remove the virtual environment and all caches, but no data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info

# A file of the environment says what is installed in it, so that a second start takes seconds.
$(VENV)/.serving: pyproject.toml constraints.txt | $(VENV)/.python
	@echo "Installing Dicebox into $(VENV) (a minute or two, once)"
	@$(PIP) install --constraint constraints.txt --editable '.[serve,train,demo,report]'
	@touch $@

$(VENV)/.development: pyproject.toml constraints.txt | $(VENV)/.python
	@echo "Installing Dicebox and its test tools into $(VENV) (a minute or two, once)"
	@$(PIP) install --constraint constraints.txt --editable '.[serve,train,demo,dev]'
	@touch $@ $(VENV)/.serving

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	  "Dicebox needs Python 3.11 or newer, this is " + sys.version.split()[0] + \
	  ": make PYTHON=python3.11")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@
