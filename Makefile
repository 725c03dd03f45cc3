# Everything a person does here. CMAKE_ARGS spares building llama.cpp's image support, which is not used.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
export CMAKE_ARGS ?= -DLLAVA_BUILD=OFF
export PIP_DISABLE_PIP_VERSION_CHECK = 1

PYTHON_VERSION ?= $(shell $(PYTHON) -c 'print("%d.%d" % __import__("sys").version_info[:2])')
WITH ?= keras

.PHONY: demo test lint bench wheels prove-bundle prove-offline prove-plans fuzz setup setup-dev check-pool clean

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

# The count of network calls of the whole job, with a minute of idling after it.
prove-offline: setup
	$(BIN)/dlcodegen doctor --prove-offline

# Any logits whatever give a valid plan: 10,000 of them, some minutes.
prove-plans: setup-dev
	DLCODEGEN_TEST_PLANS=10000 $(BIN)/python -m pytest tests/planner/test_constraint.py -k any_logits

# Damaged models, manifests, archives and run records; what fails is kept in build/fuzz. As long as one likes:
# make fuzz SECONDS=3600
SECONDS ?= 120
fuzz: setup-dev
	$(BIN)/python -m tests.fuzz --seconds $(SECONDS)

# The wheels of a bundle, for PLATFORM (else this machine's), PYTHON_VERSION and WITH (keras, torch or none): the one step
# of a bundle that asks the package index. Builds llama.cpp for every instruction set: 25 minutes on two cores, once.
wheels: setup
	$(BIN)/python -m export.wheels build/wheels --python $(PYTHON_VERSION) $(addprefix --platform ,$(PLATFORM)) $(addprefix --with ,$(filter-out none,$(WITH)))

# A bundle that is made here, and checked, installed and used without network, home and pip cache.
prove-bundle: wheels
	$(BIN)/python -m tests.bundle.proof build/wheels $(addprefix --with ,$(WITH))
	$(BIN)/python -m tests.bundle.kills --count 100

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
