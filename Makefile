# Everything runs in .venv, which the first target that needs it makes.
#   make setup     install the package and what its tests need; nothing is compiled
#   make demo      simulate a crowd, train, score, evaluate, write a report
#   make scatter   build torch-scatter
#   make test      the tests but the slow ones, with torch-scatter (SCATTER=0: without); screenshots in build/shots
#   make test-slow the slow tests
#   make coverage  all tests, and which lines they run (a sixth slower)
#   make lint      ruff, mypy and import-linter
#   make bench     the benchmarks, small
#   make docs      the documentation, in build/site

PYTHON ?= python3
VENV ?= .venv
SCATTER ?= 1
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
SCATTERED := $(VENV)/.scatter
# What tests need.
TESTABLE := $(INSTALLED) $(if $(filter 1,$(SCATTER)),$(SCATTERED))

.PHONY: setup scatter demo test test-slow coverage lint format bench docs clean
.DELETE_ON_ERROR:

setup: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install -q -c constraints.txt pip setuptools wheel
	$(PIP) install -q -c constraints.txt torch
	$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[dev]'
	@touch $@

scatter: $(SCATTERED)

# torch-scatter compiles against the installed torch. pip's cache does not know which torch a wheel was
# built for, so a wheel that does not import is built again without it; where it cannot be built at
# all, everything works through PyG's own scatter.
$(SCATTERED): $(INSTALLED)
	@echo "Building torch-scatter against the installed torch (about 4 minutes, once)"
	@$(PIP) install -q -c constraints.txt --no-build-isolation torch-scatter \
	  && $(BIN)/python -c 'import torch_scatter' \
	  || { echo "The wheel does not import: building torch-scatter anew, without pip's cache"; \
	       $(PIP) install -q -c constraints.txt --no-build-isolation --no-cache-dir \
	         --force-reinstall --no-deps torch-scatter \
	         && $(BIN)/python -c 'import torch_scatter'; } \
	  || { $(PIP) uninstall -q -y torch-scatter; \
	       echo "torch-scatter could not be built: going on with PyG's own scatter"; }
	@touch $@

demo: $(INSTALLED)
	$(BIN)/gepc-geo demo --out runs/demo
	@test ! -e runs/demo/report.html || echo "Open the report:  $(BIN)/python -m webbrowser 'file://$(CURDIR)/runs/demo/report.html'"

# Where tests keep screenshots, for people to look at.
export GEPC_GEO_SHOTS ?= $(CURDIR)/build/shots
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

test: $(TESTABLE)
	$(PYTEST) -m 'not slow'

test-slow: $(TESTABLE)
	$(PYTEST) -m slow

coverage: $(TESTABLE)
	$(PYTEST) --cov=gepc_geo --cov-report=term

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED)
	$(BIN)/gepc-geo bench --quick

docs: $(INSTALLED)
	$(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) runs build *.egg-info .import_linter_cache
