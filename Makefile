# `make demo` and `make test` are all a newcomer needs; `make` alone checks a change.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: all install lint lock test test-slow test-long demo clean

all: lint test

install: .venv/installed

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
lock:
	@test -x $(BIN)/uv || { echo "make lock needs an installed environment; run make install with the unchanged files first"; exit 2; }
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-annotate \
		--custom-compile-command "make lock" $(UPGRADE) --output-file constraints.txt pyproject.toml

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python .ci/tree.py
	MYPYPATH=.venv/tree $(BIN)/mypy
	cd .venv/tree && ../bin/lint-imports --no-cache --no-logo ../../pyproject.toml
	$(BIN)/python .ci/advisories.py

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
