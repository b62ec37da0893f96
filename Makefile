# Everything runs in .venv, which the first target that needs it makes.
#   make setup    install the package, what its tests need, and torch-scatter (SCATTER=0: without)
#   make demo     simulate a crowd, train, score, evaluate
#   make test     the tests; screenshots of the report in build/shots
#   make coverage the tests, and which lines they run (a sixth slower)
#   make lint     ruff, mypy and import-linter
#   make bench    the benchmarks, small
#   make docs     the documentation, in build/site

PYTHON ?= python3
VENV ?= .venv
SCATTER ?= 1
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMP := $(VENV)/.installed-$(SCATTER)

.PHONY: setup demo test coverage lint format bench docs clean
.DELETE_ON_ERROR:

setup: $(STAMP)

# torch-scatter compiles against the installed torch. pip's cache does not know which torch a wheel was
# built for, so a wheel that does not import is built again without it; where it cannot be built at
# all, everything works through PyG's own scatter.
$(STAMP): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -c constraints.txt pip setuptools wheel
	$(PIP) install -q -c constraints.txt torch
	$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[dev]'
ifeq ($(SCATTER),1)
	@echo "Building torch-scatter against the installed torch (about 4 minutes, once)"
	@$(PIP) install -q -c constraints.txt --no-build-isolation torch-scatter \
	  && $(BIN)/python -c 'import torch_scatter' \
	  || { echo "The wheel does not import: building torch-scatter anew, without pip's cache"; \
	       $(PIP) install -q -c constraints.txt --no-build-isolation --no-cache-dir \
	         --force-reinstall --no-deps torch-scatter \
	         && $(BIN)/python -c 'import torch_scatter'; } \
	  || { $(PIP) uninstall -q -y torch-scatter; \
	       echo "torch-scatter could not be built: going on with PyG's own scatter"; }
endif
	@touch $@

demo: $(STAMP)
	$(BIN)/gepc-geo demo --out runs/demo

# Where tests keep screenshots, for people to look at.
export GEPC_GEO_SHOTS ?= $(CURDIR)/build/shots
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

test: $(STAMP)
	$(PYTEST)

coverage: $(STAMP)
	$(PYTEST) --cov=gepc_geo --cov-report=term

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/gepc-geo bench --quick

docs: $(STAMP)
	$(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) runs build *.egg-info
