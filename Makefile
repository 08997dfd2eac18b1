# Everything a newcomer needs: `make demo`, `make test`. ARGS goes to the program behind the target:
# make test ARGS="-k calendar"

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
# Two for each core: half of the tests' time is other processes' and waiting for disks.
WORKERS ?= $(shell $(PYTHON) -c "import os; print(2 * (os.cpu_count() or 1))")

.PHONY: help setup demo test lint types bench soak clean

help:
	@echo "make setup   create .venv with the pinned dependencies (the others do it when needed)"
	@echo "make demo    watch a day being stopped by the kill switch; no account, no key"
	@echo "make test    run the tests, two workers a core; ARGS=... goes to pytest"
	@echo "make lint    ruff, rules and format"
	@echo "make types   mypy --strict"
	@echo "make bench   measure the budgets"
	@echo "make soak    the long reliability run, before a release"
	@echo "make clean   remove caches and builds; keeps .venv"

setup: $(STAMP)

# The stamp makes set-up happen once, and again when a dependency changes.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,plot]'
	@touch $@

demo: $(STAMP)
	@$(BIN)/riskguard demo $(ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

# One process: a soak measures time under load, and neighbours would be the load.
soak: $(STAMP)
	RISKGUARD_SOAK=1 $(BIN)/python -m pytest tests/reliability $(ARGS)
	RISKGUARD_SOAK=1 $(BIN)/python -m pytest -msoak --ignore tests/reliability $(ARGS)

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
