# Every target works on a fresh clone with Python 3.11 or newer and make.
PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
PY := $(BIN)/python
AUDIT := $(subst .venv,.venv/audit,$(BIN))
AUDITED := requirements.txt requirements-server.txt requirements-build.txt requirements-test.txt requirements-package.txt

.DEFAULT_GOAL := help
.PHONY: help setup run demo test test-system lint test-agents test-servers audit sbom bench fuzz soak screenshots package deb models icons docs lock clean FORCE

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

setup: .venv/.run ## create or update .venv from the hash-pinned requirements
	@$(PY) tests/desktop/prepare.py link

# Looked at every time, for the system's Python may have changed under it; touched only when it is new.
.venv/.made: FORCE
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m package.venv
	@test -e $@ || touch $@

.venv/.run: .venv/.made requirements-build.txt requirements.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation --use-pep517 -r requirements.txt
	@touch $@

.venv/.test: requirements-test.txt .venv/.run
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.txt
	@touch $@

.venv/.package: requirements-package.txt .venv/.run
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-package.txt
	@touch $@

run: setup ## start the app
	@$(PY) main.py

demo: setup ## start the app on the built-in demo upstream: no account, no network
	@$(PY) main.py --upstream demo

lint: .venv/.test ## format check, lint, types, import floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@for os in win32 darwin; do echo "mypy for $$os"; $(BIN)/mypy --platform $$os --no-warn-unreachable \
	  --cache-dir .mypy_cache/$$os main.py server tray webui || exit 1; done
	$(BIN)/lint-imports --no-cache

test-system: .venv/.test
	@$(PY) -m tests.system

test: test-system lint .venv/.package ## everything: system packages, lint, types, import floors, tests
	@$(PY) tests/desktop/prepare.py install
	$(PY) -m pytest

screenshots: test-system ## every page state and the tray menu as PNG, in build/screenshots
	@$(PY) tests/desktop/prepare.py install pictures
	$(PY) -m tests.browser.screenshots
	$(PY) -m tests.desktop.screenshots

# Not "npm ci": that refuses a lock file without the programs that the tools bring for other systems.
tests/agents/node_modules: tests/agents/package-lock.json
	@cd tests/agents && npm install --no-save --no-audit --no-fund --loglevel=error
	@touch $@

.venv/agents/%/.done: tests/agents/python/%.txt .venv/.run
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

test-agents: .venv/.test tests/agents/node_modules .venv/agents/llm/.done .venv/agents/aider/.done .venv/agents/gptme/.done ## opt-in: real tools (npm, PyPI) through the proxy, the fake Google behind it
	$(PY) -m pytest tests/agents --agents

test-servers: .venv/.test ## opt-in, root on Debian: the image in podman, setup.sh in a machine that boots systemd
	@$(PY) -m tests.system servers
	$(PY) -m pytest tests/install/test_servers.py --servers

soak: .venv/.test ## mixed requests, faults, starts and stops, bounded (SOAK="--requests N --minutes M")
	$(PY) -m tests.soak $(SOAK)

.venv/.fuzz: requirements-fuzz.txt .venv/.test
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzz.txt
	@touch $@

fuzz: .venv/.fuzz ## coverage-guided fuzzing, bounded (FUZZ="--seconds N TARGET..."; Linux)
	$(PY) -m tests.fuzz $(FUZZ)

.venv/.audit: requirements-audit.txt .venv/.run
	@$(PY) -m venv .venv/audit
	@$(AUDIT)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

audit: .venv/.audit ## look the locked packages up in the vulnerability database (needs the network)
	$(AUDIT)/python -m tests.supply pins
	$(AUDIT)/pip-audit --strict --disable-pip --require-hashes $(AUDITED:%=-r %) $(PIP_AUDIT)

sbom: .venv/.audit ## what the app is made of, as CycloneDX: build/sbom.cdx.json
	@mkdir -p build
	$(AUDIT)/cyclonedx-py requirements requirements.txt --pyproject pyproject.toml \
	  --output-format JSON --output-reproducible --output-file build/sbom.cdx.json
	$(AUDIT)/python -m tests.supply sbom build/sbom.cdx.json

bench: .venv/.test ## the benchmark; writes docs/performance.md (a quarter of an hour on a quiet machine; Linux)
	$(PY) -m tests.perf --write --json build/bench.jsonl
	@$(PY) -m tests.package.measure

package: .venv/.package ## this platform's package in dist/, which then tests itself
	@$(PY) tests/desktop/prepare.py install
	@$(PY) -m package
	@$(PY) -m tests.package.measure

deb: ## a Debian package of what make package has built
	@$(PY) -m package.deb

models: setup ## check the data file of models against today; what ends within 90 days
	@$(PY) -m package.models

icons: setup ## draw assets/ from webui/static/icon.svg
	@$(PY) -m package.icons

docs: setup ## write docs/lossiness.md from the dialects' tables
	@$(PY) -m server.dialects.lossiness > docs/lossiness.md

lock: ## pin the requirements anew (needs uv)
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	  --custom-compile-command "make lock" --group build -o requirements-build.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --fork-strategy fewest \
	  --custom-compile-command "make lock" pyproject.toml --group desktop -o requirements.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --fork-strategy fewest \
	  --custom-compile-command "make lock" pyproject.toml -c requirements.txt -o requirements-server.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --fork-strategy fewest \
	  --custom-compile-command "make lock" pyproject.toml --group desktop --group test -c requirements.txt -o requirements-test.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --fork-strategy fewest \
	  --custom-compile-command "make lock" --group package \
	  -c requirements-build.txt -c requirements-test.txt -o requirements-package.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	  --custom-compile-command "make lock" --group audit -o requirements-audit.txt
	uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	  --custom-compile-command "make lock" --group fuzz -o requirements-fuzz.txt
	for tool in aider gptme llm; do uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	  --custom-compile-command "make lock" tests/agents/python/$$tool.in -o tests/agents/python/$$tool.txt; done
	for part in tools cairo gi; do uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	  --custom-compile-command "make lock" $$([ $$part = tools ] || echo --no-deps) \
	  -c requirements-test.txt -c requirements-package.txt \
	  tests/desktop/gi/$$part.in -o tests/desktop/gi/$$part.txt; done
	mkdir -p build
	for name in requirements requirements-test requirements-package; do uv pip compile --quiet --universal --generate-hashes \
	  --python-version 3.11 --format pylock.toml $$name.txt -o build/pylock.$$name.toml; done
	$(PY) -m package.platforms build/pylock.*.toml
	@$(PY) -m pytest -q tests/package/test_platforms.py

clean: ## remove everything that make made
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis build dist \
	  tests/agents/node_modules tests/browser/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
