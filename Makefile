# Everything a person types here. The first use makes .venv from the lock file; it needs python3 (3.11 or newer, with venv) and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test faults up lint bench bench-growth lock clean

.venv: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing the locked dependencies into .venv (once; about a minute) ..."
	@test -x $(BIN)/pip || { rm -rf .venv && $(PYTHON) -m venv .venv; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --no-build-isolation --editable .
	@touch .venv

demo: .venv
	@$(BIN)/dispatcher demo $(if $(ONCE),--once)

up: .venv
	@$(BIN)/dispatcher up

test: .venv
	@.ci/install-debian-packages
	@$(BIN)/python -m pytest

# The same faults as in `make test`, many more of them: about half an hour.
faults: .venv
	@FAULTS=long $(BIN)/python -m pytest tests/faults

lint: .venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv
	@$(BIN)/dispatcher bench

# SIZE: stored attempts at most, 5,000,000 unless given.
bench-growth: .venv
	@$(BIN)/python -m bench.growth $(if $(SIZE),--size $(SIZE))

# Needs uv (https://docs.astral.sh/uv); names, versions and hashes only.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-annotate --no-header --extra embedded --extra bench --extra opentelemetry --extra docs --group dev pyproject.toml --output-file requirements.lock

clean:
	rm -rf .venv .dispatcher
