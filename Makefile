# `make demo` and `make test` do everything on a fresh machine: they need Python 3.11 or newer and make.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help demo test torture format bench sample clean
help:
	@echo "make demo   set up, train a small network with a Recorder, write reports/demo.html"
	@echo "make test   set up, check format, lint and types, run all tests"
	@echo "make torture kill recordings, break writes and cut the power many times: 15 to 30 minutes, then figures"
	@echo "make format bring the code into the project's format"
	@echo "make bench  measure wdyn side by side with what people use today"
	@echo "make sample make the page in reports/samples/ and the pictures of it that the README shows"
	@echo "make clean  remove the virtual environment and caches"

demo: $(READY)
	@$(BIN)/wdyn demo

test: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

TORTURES := $(addprefix tests/record/test_,kills.py crash_points.py disk_errors.py live.py)
torture: export WDYN_TORTURE := 1
torture: export WDYN_TORTURE_REPORT := $(CURDIR)/reports/torture.txt
torture: $(READY)
	@mkdir -p reports && rm -f $(WDYN_TORTURE_REPORT)
	$(BIN)/python -m pytest -n 2 --dist worksteal $(TORTURES) $(PYTEST_ARGS)
	@sort $(WDYN_TORTURE_REPORT)

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	@PIP_CONSTRAINT=constraints/dev.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -q -e '.[bench]'
	@for question in benchmarks/bench_*.py; do $(BIN)/python $$question || exit 1; done

# LeNet-300-100 on scikit-learn's digits: anybody can make this page, in a minute; the pictures need chromium
sample: $(READY)
	@rm -rf checkpoints/lenet-digits.h5
	$(BIN)/python examples/mnist_lenet.py --epochs 20 --lr 0.2 --run checkpoints/lenet-digits.h5
	$(BIN)/wdyn analyze checkpoints/lenet-digits.h5 --steps log:60 -o reports/samples/lenet-digits.html
	$(BIN)/python docs/images/make.py reports/samples/lenet-digits.html

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# the constraints also bind the build's own environment, so that the same commit installs the same set every time
$(READY): pyproject.toml constraints/dev.txt
	@test -n "$(PYTHON)" || { echo "wdyn needs Python 3.11 or newer, and none was found. Name one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version): a few minutes the first time ..."
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints/dev.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --progress-bar on -e '.[dev]'
	@touch $(READY)
