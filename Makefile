# Everything a person does here. CMAKE_ARGS spares building llama.cpp's image support, which is not used.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test lint bench prove-offline prove-plans setup setup-dev check-pool clean

demo: setup
	test -e violence-classifier || $(BIN)/dlcodegen generate "Build a model to classify images as violence or non-violence using deep learning" -o violence-classifier
	$(BIN)/python violence-classifier/train.py --synthetic --epochs 1 --data-dir violence-classifier/data --output-dir violence-classifier/outputs
	@echo "The project is in violence-classifier/"

test: setup-dev
	$(BIN)/python -m pytest

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Ratios within one run. The first run builds models in build/benchmarks: 10 minutes and 16 GB of disk.
# Peers that are not installed are left out: pip install -e '.[bench]' brings them.
bench: setup-dev
	$(BIN)/python -m tests.benchmarks.constrained
	$(BIN)/pip install --progress-bar off -e '.[bench]'
	$(BIN)/python -m tests.benchmarks.planner --model-dir build/benchmarks
	$(BIN)/python -m tests.benchmarks.search
	$(BIN)/python -m tests.benchmarks.lookup
	$(BIN)/python -m tests.benchmarks.stages
	$(BIN)/python -m tests.benchmarks.lookup --random build/benchmarks/random.gguf
	$(BIN)/python -m tests.benchmarks.stages --random build/benchmarks/random.gguf --rounds 1
	$(BIN)/python -m tests.benchmarks.scoring

# The count of network calls, with a minute of idling after each command.
prove-offline: setup-dev
	DLCODEGEN_TEST_IDLE_S=60 $(BIN)/python -m pytest tests/test_offline.py

# Any logits whatever give a valid plan: 10,000 of them, some minutes.
prove-plans: setup-dev
	DLCODEGEN_TEST_PLANS=10000 $(BIN)/python -m pytest tests/planner/test_constraint.py -k any_logits

setup: $(VENV)/.installed

setup-dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml
	@echo "Installing; llama.cpp is built from source, which takes about 10 minutes on two cores ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --progress-bar off -e '.[keras]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --progress-bar off -e '.[keras,dev]'
	touch $@

# Every bundled sample, Keras and PyTorch, for one epoch in the sandbox, as many at a time as there are cores.
check-pool: setup
	$(BIN)/pip install --progress-bar off -e '.[keras,torch]'
	$(BIN)/python -m index.check --report build/check-pool.json

clean:
	rm -rf $(VENV) violence-classifier
