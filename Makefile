# make run    set everything up and talk: http://localhost:8000
# make test   everything that is checked: style, types, Python, JavaScript, a real browser
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CLIENTS := .tools/clients
LOCKS := requirements.txt requirements-engine.txt
# Two processes, each with its own database; a file's tests stay together, since they share what takes long to start.
IN_PARALLEL := -n 2 --dist loadfile --durations=30
.DEFAULT_GOAL := help
# $(call need,COMMAND,PACKAGE): if the command fails, install Debian's package where we may, else name it.
need = @$(1) >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq $(2); } || { echo "$(2) is needed for the tests: sudo apt-get install $(2)"; exit 1; }
.PHONY: help run setup test lint types test-python test-js test-e2e browser curl lock docs clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

run: setup
	@exec $(BIN)/python manage.py up

setup: $(VENV)/.installed .env
	@$(BIN)/python manage.py set_up

$(VENV)/.installed: $(LOCKS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python cannot make a virtual environment. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Installing locked packages into $(VENV), once; this takes a minute or two."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes $(foreach lock,$(LOCKS),-r $(lock))
	@touch $@

$(VENV)/.dev: $(VENV)/.installed requirements-dev.txt
	@echo "Installing what the tests need into $(VENV), once."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --require-hashes -r requirements-dev.txt
	@touch $@

.env:
	@$(BIN)/python -m voiceagent.first_env

node_modules/.installed: package.json package-lock.json $(VENV)/.dev
	@$(BIN)/python -m voiceagent.node npm ci --ignore-scripts --silent
	@touch $@

test: setup lint types test-python test-js test-e2e

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev node_modules/.installed
	$(BIN)/mypy .
	$(BIN)/python -m voiceagent.node npm run --silent types

# Clients that others wrote and that want other versions than the server has: an environment of their own.
$(CLIENTS)/.installed: requirements-clients.txt $(VENV)/.dev
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(CLIENTS)
	@$(BIN)/uv pip sync --quiet --require-hashes --python $(CLIENTS) requirements-clients.txt
	@touch $@

test-python: $(VENV)/.dev node_modules/.installed $(CLIENTS)/.installed curl
	$(BIN)/python -m pytest --ignore tests/e2e $(IN_PARALLEL)

test-js: node_modules/.installed
	$(BIN)/python -m voiceagent.node npm test --silent

test-e2e: $(VENV)/.dev node_modules/.installed browser setup
	$(BIN)/python -m pytest tests/e2e --durations=25

browser: $(VENV)/.dev
	$(call need,command -v chromium,chromium)
	$(call need,$(VENV)/lib/python3*/site-packages/playwright/driver/node --version,libatomic1)

curl:
	$(call need,command -v curl,curl)

lock: $(VENV)/.dev
	$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links -c requirements.txt requirements-engine.in -o requirements-engine.txt
	$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links -c requirements.txt -c requirements-engine.txt requirements-dev.in -o requirements-dev.txt
	$(BIN)/uv pip compile -q --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links requirements-clients.in -o requirements-clients.txt

docs: $(VENV)/.installed
	$(BIN)/python manage.py error_catalogue > docs/errors.md

clean:
	rm -rf $(VENV) $(CLIENTS) node_modules staticfiles static/vendor test-results
