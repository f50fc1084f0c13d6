# Every target builds .venv first if it has to: a machine with python3 and make is enough.
#
#   make venv    the environment: .venv/bin/comity, .venv/bin/python
#   make demo    comity compare on the shipped data -> demo/results.json, demo/report.html
#   make test    every test
#   make explore the tests of properties, with new random examples and more of them
#   make lint    formatting, types, layers, and the repository's own checks
#   make lock    requirements.lock again, after pyproject.toml has changed
#   make bench   side-by-side ratios against the peers named in bench/

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: venv demo test explore lint bench lock clean

BIN := .venv/bin
# a file of tests stays with one of them; many tests mostly wait for processes that they started
WORKERS ?= 2
# linear algebra that takes a thread for each core, in each of them, spends most of them on waiting for others
SINGLE := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
STAMP := .venv/.built-from-lock

venv: $(STAMP)

$(STAMP): requirements.lock pyproject.toml scripts/make_venv.sh
	@bash scripts/make_venv.sh
	@touch $@

demo: $(STAMP)
	@$(BIN)/comity demo

test: $(STAMP)
	@$(SINGLE) $(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder $(PYTEST_ARGS)

explore: $(STAMP)
	@$(BIN)/python -m pytest -m hypothesis --hypothesis-profile=explore $(PYTEST_ARGS)

lint: $(STAMP)
	@$(BIN)/python scripts/check_all.py

bench: $(STAMP)
	@$(BIN)/python scripts/run_bench.py

# re-pin after pyproject.toml has changed; what is pinned stays unless `make lock UPGRADE=--upgrade`
lock: $(STAMP)
	@$(BIN)/uv pip compile pyproject.toml --python-version 3.11 --quiet --no-annotate --no-header \
		--extra federated --extra encrypted --extra homomorphic --extra synthetic --extra hosted --extra postgres \
		--group dev --group build $(UPGRADE) --output-file requirements.lock

clean:
	@rm -rf .venv build dist demo .pytest_cache .ruff_cache .hypothesis .import_linter_cache
