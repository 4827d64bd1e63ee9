# `make train`, `make check` and `make test` each set everything up first; PYTHON chooses the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup train lint check test clean

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

train: setup
	$(BIN)/python train.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

# What takes seconds: run it before each commit.
check: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -q tests/test_architecture.py

test: lint
	# Tests run side by side: with one thread each they do not wait for one another.
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto -q

clean:
	rm -rf $(VENV)
