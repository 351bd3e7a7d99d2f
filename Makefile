# make demo    set up .venv, run the miniature experiment, print its table and the path of its report
# make test    set up .venv, run the fast tests
# make lint    ruff and mypy

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint clean

demo: $(READY)
	$(BIN)/ds2 sweep=demo

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# torch first and pinned: a CPU build on disk is found that way, and nothing later pulls another one.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[eval,dev]'
	touch $@

clean:
	rm -rf .venv artifacts
