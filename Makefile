# `make demo` and `make test` are all a newcomer needs; plain `make` checks a change.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: all help install lock lint docs test test-slow test-long demo clean

all: lint test  ## lint and test, what plain `make` does

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: .venv/installed  ## the pinned packages in .venv, some 6 GB

.venv/installed: constraints.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Finelake needs Python 3.11; install it or run make PYTHON=/path/to/python3.11"; exit 2; }
	@command -v java >/dev/null || { echo "Finelake needs Java 17; install a Java 17 runtime"; exit 2; }
	$(PYTHON) -m venv .venv
	@echo "Installing the pinned packages: some 6 GB and 5 minutes, most of it torch"
	@# Each file is compared with its SHA-256 in constraints.txt. What builds those that exist as source comes first.
	awk '/^[^ ]/ { build = /^(packaging|setuptools|wheel)==/ } build' constraints.txt > .venv/build.txt
	$(BIN)/python -m pip install --quiet --require-hashes --requirement .venv/build.txt
	$(BIN)/python -m pip install --quiet --require-hashes --no-build-isolation --requirement constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/finelake setup
	@# Keep the training entries of dvc.lock out of commits (see .gitattributes).
	@! git rev-parse --git-dir >/dev/null 2>&1 || git config filter.data-entries.clean "awk -f finelake/data_entries.awk"
	@touch $@

# The exact set with the SHA-256 of every file, from pyproject.toml. What is pinned stays where it still fits;
# make lock UPGRADE="--upgrade-package lxml" takes the newest lxml.
lock:  ## renew constraints.txt from pyproject.toml
	@test -x $(BIN)/uv || { echo "make lock needs an installed environment; run make install with the unchanged files first"; exit 2; }
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-annotate \
		--custom-compile-command "make lock" $(UPGRADE) --output-file constraints.txt pyproject.toml

lint: install  ## ruff, mypy, import-linter, known faults of what is pinned
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python .ci/tree.py
	MYPYPATH=.venv/tree $(BIN)/mypy
	cd .venv/tree && ../bin/lint-imports --no-cache --no-logo ../../pyproject.toml
	$(BIN)/python .ci/advisories.py

docs: install  ## docs/cli.md and docs/architecture.svg, from the code
	$(BIN)/python .ci/cli_reference.py
	$(BIN)/python .ci/architecture.py

test: install  ## the tests, without the longer ones
	$(BIN)/python -m pytest -m "not slow and not long"

test-slow: install  ## longer checks: guarantees, a cluster, an object store
	$(BIN)/python -m pytest -m slow

test-long: install  ## the longest: 30 kills, clones of the demo, memory
	$(BIN)/python -m pytest -m long

demo: install  ## the whole chain on a generated bank
	$(BIN)/finelake demo

clean:  ## remove the lake, the data and every output of a stage
	rm -rf lakehouse data snapshots models metrics plots reports .finelake
