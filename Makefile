# Everything runs in .venv, made here from nothing with what constraints.txt pins.
PYTHON ?= python3
BIN := .venv/bin
# Both, for what is installed and for what builds it: an older pip knows the first for the two of them.
PIP := PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/pip --quiet --disable-pip-version-check
CSRC := CMakeLists.txt $(wildcard src/gatewise/kernels/cpu/csrc/*)

.PHONY: help install test check demo bench wheel asan tsan clean

help:  ## List the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

install: .venv/installed  ## Make .venv and install gatewise in it

.venv/installed: pyproject.toml constraints.txt $(CSRC)
	$(PYTHON) -m venv .venv
	$(PIP) install "torch==$$(sed -n 's/^torch==//p' constraints.txt)"
	$(PIP) install --editable ".[dev]"
	@touch $@
	@echo 'Installed. To have gatewise on the path: . .venv/bin/activate'

test: install  ## Run the tests (under 10 minutes on 2 cores)
	$(BIN)/python -m pytest

check: install  ## Formatting, lint, types, docstrings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(wildcard src/gatewise/kernels/cpu/csrc/*) tests/kernels/cpu/driver.cpp

demo: install  ## Train on real recordings, evaluate, predict; prints where the report lies
	@scripts/demo

bench: install  ## Speed on this machine, beside torch (a few minutes)
	$(BIN)/gatewise bench

wheel: install  ## Build dist/*.whl for every instruction set, and show it where there is no compiler
	rm -rf dist build/wheel
	$(PIP) wheel --no-deps --wheel-dir dist --config-settings=cmake.define.GATEWISE_REQUIRE_LIBRARY=ON .
	@scripts/check_wheel.sh

asan: install  ## The tests of the CPU kernel under AddressSanitizer
	@scripts/sanitize.sh address

tsan: install  ## Threads that call the CPU kernel at once, under ThreadSanitizer
	@scripts/sanitize.sh thread

clean:  ## Remove what make made
	rm -rf .venv build dist src/*.egg-info src/gatewise/kernels/cpu/*.so .pytest_cache .mypy_cache .ruff_cache
