# `make run` and `make test` do all set-up themselves; they need Python 3.11 or newer and a C compiler at most.

.DEFAULT_GOAL := help
.PHONY: run test coverage ui cluster-up cluster-down soak format clean help .env

# The first interpreter here that is new enough.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
INSTALLED := .venv/.installed
CONFIG ?= hex8_2p
export DAGSTER_HOME ?= $(CURDIR)/dagster_home

LOOP := games_db,npz_dataset,checkpoint,elo,champion,curriculum
FLEET := selfplay_plan,leaderboard

# What reaches every kernel and does not take long without the compiler.
KERNEL_TESTS := $(addprefix tests/engine/test_, traces.py rules.py endings.py batch.py playout.py records.py network.py \
	winning.py::test_the_rest_of_a_turn_is_tried)

# Progress and results on the console; every event is in Dagster's log.
MATERIALIZE := $(BIN)/dagster asset materialize -m rr_assets \
	--config-json '{"loggers": {"console": {"config": {"log_level": "INFO"}}}}'

run: $(INSTALLED) ## one turn of the loop for CONFIG (hex8_2p)
	@$(BIN)/rr configs '$(CONFIG)' > /dev/null # says which there are, before anything starts
	$(MATERIALIZE) --select $(LOOP) --partition $(CONFIG)
	$(MATERIALIZE) --select $(FLEET)
	@echo
	$(BIN)/rr standings --config $(CONFIG)
	@echo "To look at the graph, its runs and every number: make ui, then open http://127.0.0.1:3000"

test: export OMP_NUM_THREADS = 1
test: $(INSTALLED) ## formatter, linter, types, import layers, house rules and all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/pytest --numprocesses logical --no-loadscope-reorder

coverage: export NUMBA_DISABLE_JIT = 1
coverage: export RR_TRACES =
coverage: $(INSTALLED) ## lines and branches of the kernels that tests reach, counted without the compiler
	$(BIN)/coverage run --source=rr_engine.kernels -m pytest -q $(KERNEL_TESTS)
	$(BIN)/coverage report --fail-under=95

# Several runs share the machine: threads of one that wait for each other wait for the others' runs, too.
ui: export OMP_NUM_THREADS ?= $(shell $(PYTHON) -c 'import os; print(max(1, os.cpu_count() // 2))')
ui: $(INSTALLED) ## Dagster's pages and its daemon, and the page to play on, with replays and leaderboard
	@$(BIN)/rr serve & trap "kill $$! 2> /dev/null" EXIT INT TERM; $(BIN)/dagster dev

cluster-up: $(INSTALLED) ## a whole cluster on this machine: Postgres, Redis, S3, coordinator, workers
	$(BIN)/rr-cluster up

cluster-down: $(INSTALLED) ## stop what cluster-up started
	$(BIN)/rr-cluster down

soak: $(INSTALLED) ## a cluster under load for 20 minutes, with 50 processes killed
	$(BIN)/python -m benchmarks.soak --minutes 20 --kills 50

format: $(INSTALLED) ## rewrite the sources as `make test` wants them
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean: ## remove the environment and all caches; games and networks stay
	rm -rf .venv .hypothesis .import_linter_cache .pytest_cache .ruff_cache .coverage htmlcov *.egg-info
	find rr_assets rr_engine tests -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# Dagster reads it, so nobody needs to set DAGSTER_HOME. A line of one's own stays, one written here follows the project.
.env:
	@touch .env
	@awk '!/^DAGSTER_HOME=[$$][{]DAGSTER_HOME:-.*\/dagster_home[}]$$/' .env > .env.new
	@grep -qE '^(export +)?DAGSTER_HOME *=' .env.new || \
		echo 'DAGSTER_HOME=$${DAGSTER_HOME:-$(CURDIR)/dagster_home}' >> .env.new
	@cmp -s .env.new .env || cat .env.new > .env
	@rm .env.new

$(INSTALLED): pyproject.toml constraints.txt | .env
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install torch==2.13.0 -c constraints.txt
	$(BIN)/pip install -e '.[dev]' -c constraints.txt
	touch $@
