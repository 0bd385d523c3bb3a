# Everything a person types here. The first use makes .venv from the lock files; it needs python3 (3.11 or newer, with
# venv) and make. What only tests, documentation and bench need is installed when one of these is first asked for.
PYTHON ?= python3
BIN := .venv/bin
CONSOLE := dispatcher/console
LIBRARIES := $(CONSOLE)/static/vendor/htmx.min.js
RUN := .venv/installed $(LIBRARIES)
VERSION = $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' dispatcher/version.py)
CONTAINERS ?= docker
DEV := $(RUN) .venv/installed-dev $(BIN)/helm

# Where the environment forbids it, each of some hundred processes of the tests would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: sdks demo test coverage faults up lint docs bench bench-growth bench-scaling screenshots console install lock dist sbom audit image clean clean-data

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed; set PYTHON=/path/to/python3"; exit 1; }
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || { rm -rf .venv && $(PYTHON) -m venv .venv; }
	@$(BIN)/python .ci/install requirements.lock
	@touch $@

.venv/installed-dev: requirements-dev.lock .venv/installed
	@$(BIN)/python .ci/install requirements-dev.lock
	@touch $@

# A failure does not stop what was asked for: the file is then missing, and made at the next `make`.
$(LIBRARIES): $(CONSOLE)/libraries.lock .ci/vendor-console | .venv/installed
	@$(BIN)/python .ci/vendor-console

$(BIN)/helm: deploy/helm/tools.lock .ci/kubernetes-tools | .venv/installed
	@$(BIN)/python .ci/kubernetes-tools

# The same for its own sake: before an image is built, for instance.
console: $(LIBRARIES)
install: $(DEV)

demo: $(RUN)
	@$(BIN)/dispatcher demo $(if $(ONCE),--once)

up: $(RUN)
	@$(BIN)/dispatcher up

# By file, as servers and browsers are shared within one, and in the files' order: by size, xdist would leave the longest
# for the end. Those that wait for processes come first, the longest of them at the very start (tests/conftest.py); the
# short unit tests fill the end.
FILES := --dist loadfile --no-loadscope-reorder --numprocesses 4
test: $(DEV)
	@.ci/install-debian-packages
	@$(BIN)/python -m pytest $(FILES) tests/e2e tests/faults tests/attacks tests/integration tests/unit

# Lines that unit and integration tests run in their own process; what only `dispatcher serve` and workers run is not seen.
coverage: $(DEV)
	@.ci/install-debian-packages
	@$(BIN)/python -m pytest $(FILES) --cov --cov-report=term:skip-covered tests/integration tests/unit

# The faults, attacks and made-up requests of `make test`, many more of each, and of random examples three times as many.
faults: $(DEV)
	@FAULTS=long $(BIN)/python -m pytest tests/faults tests/attacks tests/unit tests/integration/api/test_schemathesis.py

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What is generated of both SDKs, after a change of the API. Python's is committed.
sdks: $(DEV)
	@$(BIN)/python -m sdks.generate

# The documentation as a site, into site/.
docs: $(DEV)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: $(DEV)
	@$(BIN)/dispatcher bench

# SIZE: stored attempts at most, 5,000,000 unless given.
bench-growth: $(DEV)
	@$(BIN)/python -m bench.growth $(if $(SIZE),--size $(SIZE))

# Pictures of the console for the documentation, of a demo's data, into docs/screenshots/.
screenshots: $(DEV)
	@.ci/install-debian-packages
	@$(BIN)/python -m bench.screenshots

# 1, 2 and 4 workers on a receiver that takes 20 ms.
bench-scaling: $(DEV)
	@$(BIN)/python -m bench.scaling

# What a release consists of, into dist/. Who builds the same commit has the same bytes, which SHA256SUMS is there for.
dist: $(DEV) sbom
	@$(BIN)/python -m hatchling build -d dist
	@cd sdks/python && ../../$(BIN)/python -m hatchling build -d ../../dist
	@$(BIN)/helm package deploy/helm/dispatcher --destination dist
	@cd dist && sha256sum *.whl *.tar.gz *.cdx.json > SHA256SUMS && cat SHA256SUMS

# What the image installs, as CycloneDX.
sbom: .venv/release/installed
	@rm -rf dist && mkdir dist
	@sed 's/^dynamic = .*/version = "$(VERSION)"/' pyproject.toml > dist/pyproject.toml
	@.venv/release/bin/cyclonedx-py requirements --pyproject dist/pyproject.toml --output-reproducible \
		--output-file dist/webhook-dispatcher-$(VERSION).cdx.json deploy/requirements.lock
	@rm dist/pyproject.toml

# Known vulnerabilities of what the image installs; asks the package index.
audit: .venv/release/installed
	@.venv/release/bin/pip-audit --disable-pip --require-hashes --requirement deploy/requirements.lock

.venv/release/installed: deploy/release.lock | .venv/installed
	@$(BIN)/python -m venv .venv/release
	@.venv/release/bin/python -m pip --quiet --disable-pip-version-check install --require-hashes --requirement deploy/release.lock
	@touch $@

# CONTAINERS=podman, or buildah, where it is not docker.
image:
	$(CONTAINERS) build --file deploy/Dockerfile --tag dispatcher:$(VERSION) --label org.opencontainers.image.version=$(VERSION) \
		--label org.opencontainers.image.revision=$(shell git rev-parse HEAD) .

# Needs uv (https://docs.astral.sh/uv); names, versions and hashes only.
COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header
lock:
	$(COMPILE) --extra server --extra embedded --extra bench --extra opentelemetry --extra aws --extra kafka --extra pubsub --extra docs --group dev pyproject.toml --output-file requirements-dev.lock
	$(COMPILE) --extra server --extra embedded --group checkout --constraint requirements-dev.lock pyproject.toml --output-file requirements.lock
	$(COMPILE) --extra server --extra opentelemetry --extra aws --extra kafka --extra pubsub --group build --constraint requirements-dev.lock pyproject.toml --output-file deploy/requirements.lock
	$(COMPILE) --resolution lowest-direct --extra psycopg --extra psycopg2 --group lowest pyproject.toml --output-file requirements-lowest.lock
	$(COMPILE) --no-deps --group pyproject.toml:console --output-file $(CONSOLE)/libraries.lock
	$(COMPILE) --no-deps --group pyproject.toml:kubernetes --output-file deploy/helm/tools.lock
	$(COMPILE) --no-deps --group pyproject.toml:pip --output-file .ci/pip.lock
	$(COMPILE) --group pyproject.toml:release --output-file deploy/release.lock

# What `make` has made. Data stay.
clean:
	rm -rf .venv $(CONSOLE)/static/vendor site dist
	@test ! -e .dispatcher || echo "The data in .dispatcher/ are kept; make clean-data deletes them."

clean-data: .venv/installed
	@$(BIN)/python -m dispatcher.local.remove
