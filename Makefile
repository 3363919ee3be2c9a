# Everything runs in .venv, made here from nothing with what constraints.txt pins.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install test check demo bench clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

install: .venv/installed  ## Make .venv and install gatewise in it

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@
	@echo 'Installed. To have gatewise on the path: . .venv/bin/activate'

test: install  ## Run the tests (under 5 minutes on 2 cores)
	$(BIN)/python -m pytest

check: install  ## Formatting, lint, types, docstrings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

demo: install  ## Train on real recordings, evaluate, predict; prints where the report lies
	@scripts/demo

bench: install  ## Speed of the kernels on this machine, beside torch
	$(BIN)/python benchmarks/speed/layers.py

clean:  ## Remove what make made
	rm -rf .venv build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
