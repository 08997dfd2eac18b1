# Everything a newcomer needs: `make demo`, `make test`. ARGS goes to the program behind the target:
# make test ARGS="-k calendar"

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
# Two for each core: half of the tests' time is other processes', and waiting for them.
WORKERS ?= $(shell $(PYTHON) -c "import os; print(2 * (os.cpu_count() or 1))")

# Compiled modules are kept, whatever the caller's environment says: the tests start some hundred processes, and each
# would compile all of us again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test test-postgres lint types bench soak fuzz mutants coverage clean

help:
	@echo "make setup   create .venv with the pinned dependencies (the others do it when needed)"
	@echo "make demo    watch a day being stopped by the kill switch; no account, no key"
	@echo "make test    run the tests, two workers a core; ARGS=... goes to pytest"
	@echo "make test-postgres  run every test that makes a desk, and the command's, on PostgreSQL"
	@echo "make lint    ruff, rules and format"
	@echo "make types   mypy --strict"
	@echo "make bench   measure the budgets, and write docs/benchmarks.md"
	@echo "make soak    the long reliability run, before a release: every claim in one table"
	@echo "make fuzz    fuzz what comes in as bytes, 20 minutes a target; ARGS=\"message --minutes 1\""
	@echo "make mutants  mutate the modules that decide: 95 % must be noticed by their tests; ARGS=money"
	@echo "make coverage  every branch of core/ is taken by its own tests; fails under 100 %"
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
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# The same tests over the other store; what tries SQLite's own machinery is left out, and counted.
test-postgres: $(STAMP)
	RISKGUARD_TEST_STORE=postgresql $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests/services tests/reliability tests/cli $(ARGS)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile tests/postgres $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

# Without ARGS all of it, and the tables of docs/benchmarks.md are those of this run.
bench: $(STAMP)
	$(BIN)/python -m benchmarks $(or $(ARGS),--write)

# Two tests at a time, then what measures time alone; one table of every claim at the end.
soak: $(STAMP)
	@tests/postgres/fetch_pgbouncer.sh || echo "no pgbouncer: its tests will say that they did not run"
	$(BIN)/python -m tests.reliability.soak $(ARGS)

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz $(ARGS)

mutants: $(STAMP)
	$(BIN)/python -m tests.mutants $(ARGS)

# Without the tests that are many cases of the same: what only they reach is not tested on purpose.
MANY := oracle oracle_mutants order_fuzz clock_random calendar_zones decide_metamorphic decide_properties decide_theorems exposure_properties
coverage: $(STAMP)
	mkdir -p build
	$(BIN)/python -m coverage run -m pytest -p no:cacheprovider tests/core $(MANY:%=--ignore=tests/core/test_%.py) $(ARGS)
	$(BIN)/python -m coverage report

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
