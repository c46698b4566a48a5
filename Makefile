# Everything that people and CI do with this project. `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV ?= .venv
PY := $(VENV)/bin/python
export VENV

BOOTSTRAP := python=$$(sh tools/find-python) && "$$python" -m tools.bootstrap
PYTEST := $(PY) -m pytest
FAST := not spark and not cloud and not browser and not processes and not slow
REST := (spark or cloud or browser or processes) and not slow and not chaos
ONE_HALF := tests/engine tests/corpus tests/browser tests/clusters tests/test_setup
# tests with servers, $(1): two halves that take about as long, at the same time and each with servers of its own
HALVES = $(PY) -m tools.side_by_side \
	"engine: $(PYTEST) -o cache_dir=.pytest_cache/engine -m '$(1)' $(ONE_HALF)" \
	"rest: $(PYTEST) -o cache_dir=.pytest_cache/rest -m '$(1)' $(ONE_HALF:%=--ignore=%)"

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## set up what is missing and start everything (PORT=8000, AUTOLOADER_DATA_DIR=data)
	@$(BOOTSTRAP) venv spark
	@exec $(PY) manage.py up

.PHONY: setup
setup: ## set up what `make run` needs, without starting it
	@$(BOOTSTRAP) venv spark

.PHONY: spark
spark: ## fetch embedded Spark and its jars
	@$(BOOTSTRAP) venv spark

.PHONY: test-setup
test-setup: ## set up what the tests need: packages, Spark, Chromium, PostgreSQL
	@$(BOOTSTRAP) venv-dev spark programs

.PHONY: test
test: test-setup check ## everything on the embedded Spark, each behaviour once
	$(PYTEST) -m "$(FAST)"
	$(call HALVES,$(REST))
	$(PYTEST) -m chaos

.PHONY: test-fast
test-fast: ## only the tests that start no server
	$(PYTEST) -m "$(FAST)"

.PHONY: test-all
test-all: test-setup check ## make test, the long tests, PostgreSQL under everything, and Spark 3.5.7
	@$(BOOTSTRAP) spark-test
	$(PYTEST) -m "$(FAST)"
	AUTOLOADER_TEST_DATABASE=postgres $(PYTEST) -m "$(FAST)"
	AUTOLOADER_TEST_SPARK=3.5.7 $(call HALVES,spark and not browser and not chaos)
	$(call HALVES,(spark or cloud or browser or processes or slow) and not chaos)
	$(PYTEST) -m chaos

.PHONY: check
check: lint types floors django-check ## all that reads the code without running it

.PHONY: lint
lint: ## style
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

.PHONY: types
types: ## mypy, strict
	$(VENV)/bin/mypy .

.PHONY: floors
floors: ## imports go down only
	$(VENV)/bin/lint-imports

.PHONY: django-check
django-check: ## migrations are complete, production settings are safe
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	export AUTOLOADER_DATA_DIR="$$folder" AUTOLOADER_HTTPS=true ALLOWED_HOSTS=autoloader.example && \
	$(PY) manage.py makemigrations --check --dry-run && \
	mkdir -p "$$folder/static" "$$folder/files" && \
	$(PY) manage.py check --deploy --fail-level WARNING

.PHONY: format
format: ## rewrite the code in the project's style
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

.PHONY: bench
bench: setup ## what is fast, as ratios against what one would write by hand
	@$(BOOTSTRAP) s3-server
	$(PY) -m benchmarks.thousand_files --keep
	$(PY) -m benchmarks.large_files --keep
	$(PY) -m benchmarks.known_files
	$(PY) -m benchmarks.previews
	$(PY) -m benchmarks.due_at_once
	$(PY) -m benchmarks.latency --keep
	$(PY) -m benchmarks.latency --known 50000 --rounds 10 --keep
	$(PY) -m benchmarks.discovery --keep
	$(PY) -m benchmarks.discovery --database postgres --keep

.PHONY: bench-memory
bench-memory: setup ## what a run of FILES=100000 new files takes of a worker's memory
	$(PY) -m benchmarks.many_files $(if $(FILES),--files $(FILES)) --keep

.PHONY: soak
soak: setup ## fifty feeds: memory of each process over time, and proof that nothing was lost (MINUTES=30)
	@$(BOOTSTRAP) s3-server
	$(PY) -m benchmarks.soak --minutes $(or $(MINUTES),30) --keep

.PHONY: chaos
chaos: test-setup ## kill everything at random and at named points, compare each row (KILLS=10 SEED=a new one)
	$(PY) -m tests.chaos --kills $(or $(KILLS),10) $(if $(SEED),--seed $(SEED))

.PHONY: screenshots
screenshots: test-setup ## pictures of the pages of the running installation, in screenshots/
	$(PY) -m tools.screenshots screenshots

.PHONY: lock
lock: ## resolve the lock files again from pyproject.toml
	$(VENV)/bin/uv pip compile pyproject.toml $(LOCK_OPTIONS) -o requirements/run.lock
	$(VENV)/bin/uv pip compile pyproject.toml --group dev -c requirements/run.lock $(LOCK_OPTIONS) -o requirements/dev.lock
LOCK_OPTIONS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

.PHONY: clean
clean: ## remove what was set up; the data folder stays
	rm -rf $(VENV) .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
