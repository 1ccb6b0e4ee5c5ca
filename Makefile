# Plumbline. `make` prints what there is to do.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3.11
PLUMBLINE_HOME ?= var
VENV := .venv
BIN := $(VENV)/bin
SERVICES := translator generator trainer judge analyzer coordinator
PACKAGES := contracts contracts/conformance services/_kit $(SERVICES:%=services/%) cli examples/tinyworld
SOURCES := contracts/src contracts/conformance/src services/_kit/src $(SERVICES:%=services/%/src) cli/src examples/tinyworld/src
STAMP := $(VENV)/.installed
TINYWORLD := var/tinyworld
export PLUMBLINE_HOME
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help setup tinyworld demo up down clean test unit contract integration e2e chaos lint format contracts examples lock conform images deploy load-models manifests containers

help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / {printf "  make %-26s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## install everything into .venv

$(STAMP): requirements.lock $(PACKAGES:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed; set PYTHON=...' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo 'No venv module: sudo apt-get install python3-venv' >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(PACKAGES:%=-e ./%)
	@touch $@

tinyworld: $(STAMP) ## build the small models and translation packages (cached)
	@$(BIN)/python -m tinyworld --out $(TINYWORLD)

demo: export TRANSLATOR_PACKAGES_DIR ?= $(TINYWORLD)/argos/packages
demo: export GENERATOR_MODELS_DIR ?= $(TINYWORLD)/models
demo: export TRAINER_MODELS_DIR ?= $(TINYWORLD)/models
demo: tinyworld ## run experiments/quickstart.yaml on this machine, from nothing to a report
	@$(BIN)/plumbline up
	@$(BIN)/plumbline run experiments/quickstart.yaml; status=$$?; $(BIN)/plumbline down; exit $$status

up: tinyworld ## start the six services: in containers where an engine answers, otherwise as processes
	@$(BIN)/python scripts/stack.py up

down clean: $(STAMP) ## stop them, data stays; or remove the data too, after asking
	@$(BIN)/python scripts/stack.py $@

test: tinyworld ## run all tests but those of containers
	$(BIN)/pytest --numprocesses 2 --dist loadfile --ignore tests/containers

unit: $(STAMP) ## run the tests of each package
	$(BIN)/pytest contracts/conformance/tests services cli/tests examples

contract integration e2e manifests containers: tinyworld ## run one folder of tests/
	$(BIN)/pytest tests/$@

chaos: $(STAMP) ## kill anything at random, PLUMBLINE_CHAOS_KILLS times (100) per database
	PLUMBLINE_CHAOS_KILLS=$${PLUMBLINE_CHAOS_KILLS:-100} $(BIN)/pytest -s tests/integration -k 'random_moments or any_moment'

lint: $(STAMP) ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/python -m plumbline_contracts.export --check contracts/openapi
	$(BIN)/python scripts/settings.py --check

format: $(STAMP) ## let ruff format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

contracts: $(STAMP) ## export contracts/openapi/*.json and .env.example
	$(BIN)/python -m plumbline_contracts.export contracts/openapi
	$(BIN)/python scripts/settings.py

examples: $(STAMP) ## record the examples in contracts/openapi/*.json that are missing or no longer fit
	$(BIN)/python -m tests.record_examples

lock: $(STAMP) ## resolve all requirements.lock anew
	$(BIN)/python scripts/lock.py

conform: $(STAMP) ## check a service against its contract: make conform SERVICE=judge URL=http://...
	$(BIN)/plumbline conform $(SERVICE) --url $(URL)

images: $(STAMP) ## build the container images and print their sizes
	@$(BIN)/python scripts/stack.py images

load-models: tinyworld ## copy models, packages and data sets to the cluster
	@scripts/load-models.sh

deploy: ## apply a Kubernetes overlay and wait for it: make deploy OVERLAY=local
	@scripts/deploy.sh $(OVERLAY)

