# `make demo` and `make test` need only python3, make and this checkout.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --disable-pip-version-check --progress-bar on -c constraints.txt
STAMP := $(VENV)/installed
KINDS := py yaml json jsonl gz
SOURCES := $(sort $(foreach kind,$(KINDS),$(shell find agent budget cli curriculum eval -name '*.$(kind)')))

.PHONY: demo test test-robots check bench bench-gpu faults tiny picture reference theory clean

demo: $(STAMP)  ## run a short curriculum on the built-in model
	$(BIN)/perdure run demo

test: check  ## everything that CI checks
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m "not robots"
	$(BIN)/python tests/wheel.py

test-robots: $(VENV)/robots  ## the tests of real simulators, by the extra `robots`
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m robots tests/robots tests/curriculum/worlds/control tests/agent/worlds/control

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/robots  ## measure, print, and write the figures into docs/experiments/speed.md
	$(BIN)/python -m tests.bench

bench-gpu: $(STAMP)  ## what only a GPU can tell, in at most ten minutes; refused where there is none
	$(BIN)/python -m tests.bench.gpu --to build/bench-gpu.md

faults: $(STAMP)  ## try faults against perdure, and count what held (docs/reliability.md)
	$(BIN)/python -m tests.faults

tiny: $(STAMP)  ## train builtin:tiny again, from nothing
	$(BIN)/python -m perdure.agent.worlds.language.builtin_model.pretrain

picture: $(STAMP)  ## the picture in the README: the live view in the middle of the demo
	rm -rf build/demo
	$(BIN)/perdure run demo --output-dir build/demo --plain & \
	$(BIN)/python -m perdure.cli.views.svg build/demo docs/picture.svg 2/70; wait

reference: $(STAMP)  ## the curriculum reference, from the schema
	$(BIN)/python -m perdure.curriculum.file.reference > docs/curriculum.md

theory: $(STAMP)  ## the tables and figures of docs/theory.md
	$(BIN)/python -m docs.theory

# The editable install links single files, so a new or renamed one means installing again.
$(STAMP): pyproject.toml constraints.txt $(VENV)/names
	@echo "installing perdure and its libraries into $(VENV): about 2 GB, once; minutes, by your connection"
	$(PIP) torch
	$(PIP) -e '.[dev]'
	touch $@

$(VENV)/robots: $(STAMP)
	@echo "installing the simulators for robots into $(VENV)"
	$(PIP) -e '.[dev,robots]'
	touch $@

$(VENV)/names: $(BIN)/python FORCE
	@echo "$(SOURCES)" | tr ' ' '\n' | cmp -s - $@ || echo "$(SOURCES)" | tr ' ' '\n' > $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

FORCE:

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
