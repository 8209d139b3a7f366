# On a machine that has only Python and make: `make run` and `make test` do everything.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TREE := build/tree

.PHONY: run test lint types imports check clean

run: $(VENV)/.installed
	$(BIN)/agile-bench run

test: $(VENV)/.tested
	$(BIN)/python -m pytest

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'agile-bench needs Python 3.11 or newer: make PYTHON=python3.11 ...')"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

lint: $(VENV)/.tested
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

# mypy and import-linter do not follow the editable install's mapped folders: they look at a copy laid out as installed.
$(TREE): $(VENV)/.tested FORCE
	rm -rf $(TREE)
	mkdir -p $(TREE)
	cp -r agile_bench $(TREE)/agile_bench
	cp -r anonymizers attackers benchmarks $(TREE)/agile_bench/
	rm -rf $(TREE)/agile_bench/benchmarks/perf

types: $(TREE)
	cd $(TREE) && MYPYPATH=. $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml -p agile_bench

imports: $(TREE)
	cd $(TREE) && PYTHONPATH=. $(CURDIR)/$(BIN)/lint-imports --config $(CURDIR)/pyproject.toml

check: lint types imports

clean:
	rm -rf build dist *.egg-info

FORCE:
