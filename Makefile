# Everything a person types here. The first use makes .venv from the lock file; it needs python3 (3.11 or newer, with venv) and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test faults up lint docs bench bench-growth bench-scaling screenshots lock clean

.venv: requirements.lock pyproject.toml dispatcher/api/console/package-lock.json
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@echo "Installing the locked dependencies into .venv (once; about a minute) ..."
	@test -x $(BIN)/pip || { rm -rf .venv && $(PYTHON) -m venv .venv; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --no-build-isolation --editable .
	@.ci/vendor-console
	@touch .venv

demo: .venv
	@$(BIN)/dispatcher demo $(if $(ONCE),--once)

up: .venv
	@$(BIN)/dispatcher up

test: .venv
	@.ci/install-debian-packages
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/unit
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile tests/integration
	@$(BIN)/python -m pytest tests/e2e tests/faults tests/attacks

# The faults and attacks of `make test`, many more of each: about ten minutes.
faults: .venv
	@FAULTS=long $(BIN)/python -m pytest tests/faults tests/attacks

lint: .venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as a site, into site/.
docs: .venv
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: .venv
	@$(BIN)/dispatcher bench

# SIZE: stored attempts at most, 5,000,000 unless given.
bench-growth: .venv
	@$(BIN)/python -m bench.growth $(if $(SIZE),--size $(SIZE))

# Pictures of the console for the README, of a demo's data, into docs/screenshots/.
screenshots: .venv
	@.ci/install-debian-packages
	@$(BIN)/python -m bench.screenshots

# 1, 2 and 4 workers on a receiver that takes 20 ms.
bench-scaling: .venv
	@$(BIN)/python -m bench.scaling

# Needs uv (https://docs.astral.sh/uv); names, versions and hashes only.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-annotate --no-header --extra embedded --extra bench --extra opentelemetry --extra docs --group dev pyproject.toml --output-file requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-annotate --no-header --extra opentelemetry --group build --constraint requirements.lock pyproject.toml --output-file deploy/requirements.lock

clean:
	rm -rf .venv .dispatcher
