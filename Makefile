# `make demo` and `make test` are all a newcomer needs; `make` alone checks a change.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: all install lint test test-slow test-long demo clean

all: lint test

install: .venv/installed

.venv/installed: constraints.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Finelake needs Python 3.11; install it or run make PYTHON=/path/to/python3.11"; exit 2; }
	@command -v java >/dev/null || { echo "Finelake needs Java 17; install a Java 17 runtime"; exit 2; }
	$(PYTHON) -m venv .venv
	@echo "Installing the pinned packages: some 6 GB and 5 minutes, most of it torch"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "setuptools" "wheel"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable ".[dev]"
	$(BIN)/python -m jobs.jars
	@# Keep the training entries of dvc.lock out of commits (see .gitattributes).
	@! git rev-parse --git-dir >/dev/null 2>&1 || git config filter.data-entries.clean "awk -f finelake/data_entries.awk"
	@touch $@

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: install
	$(BIN)/python -m pytest -m "not slow and not long"

test-slow: install
	$(BIN)/python -m pytest -m slow

test-long: install
	$(BIN)/python -m pytest -m long

demo: install
	$(BIN)/finelake demo

clean:
	rm -rf lakehouse data snapshots models metrics plots reports .finelake
