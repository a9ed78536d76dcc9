# make study   sets up and runs the main job: five widths, a table, a figure, TensorBoard runs
# make studies every study of conf/study, then outputs/index.html; FAST=1 for a quick look at each
# make gallery the same, then docs/gallery.md
# make test    sets up and runs lint, types and tests
# make test-all also the heavy tests; make peers adds the independent libraries that some of them compare with
# make mutants plants 150 faults, one at a time, and counts those that the tests notice; goes on where it stopped
# make gpu     what only a GPU can tell, within eight minutes
# make bench   times dlexp beside other ways of doing the same; make peers first compares with more of them
# make format  rewrites the code in the project's style; make clean removes .venv and caches, not outputs/

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
JOBS ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: study studies gallery test test-all lint peers mutants bench gpu format clean
.DEFAULT_GOAL := test

study: $(INSTALLED)
	$(BIN)/python scripts/train.py -m model.width=1,2,5,50,200

STUDIES := $(patsubst conf/study/%.yaml,%,$(wildcard conf/study/*.yaml))

# A study that fails is seen at the end and takes no other with it.
studies: $(INSTALLED)
	@failed=; for study in $(STUDIES); do \
	  echo "== $$study"; \
	  $(BIN)/python scripts/train.py study=$$study $(if $(FAST),debug=fast) || failed="$$failed $$study"; \
	done; \
	$(BIN)/python scripts/report.py outputs; \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

gallery: studies
	$(BIN)/python scripts/gallery.py

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test-all: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "slow or not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check dlexp benchmarks scripts tests
	$(BIN)/ruff format --check dlexp benchmarks scripts tests
	$(BIN)/mypy

# Without their dependencies: both ask for torchvision, which exists for CUDA builds of torch only.
peers: $(INSTALLED)
	$(BIN)/pip install -qq --no-deps -r requirements-peers.txt

# In a copy of the last commit, whose tests must be green.
mutants: $(INSTALLED)
	$(BIN)/pip install -qq -c constraints.txt -e '.[dev,mutants]'
	$(BIN)/python tests/mutants/session.py

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

# On a machine with a GPU, in its own Python: WHEELS= a folder of wheels where there is no network.
gpu:
	sh benchmarks/gpu.sh "$(WHEELS)"

format: $(INSTALLED)
	$(BIN)/ruff check --fix dlexp benchmarks scripts tests
	$(BIN)/ruff format dlexp benchmarks scripts tests

$(INSTALLED): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) with $$($(PYTHON) --version); the first time takes two minutes or so."
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing dlexp and the versions pinned in constraints.txt ..."
	@$(BIN)/pip install -qq -c constraints.txt -e '.[dev]'
	@touch $@
	@echo "Done."

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
