# `make install` gives .venv with the package and the `attendet` command; `make demo` and `make test` need nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo test lint format docs lock benchmark clean
.DEFAULT_GOAL := install

install: .venv/installed

# The stamp is younger than what it was made from, so nothing is installed twice.
.venv/installed: pyproject.toml requirements/installer.txt requirements/development.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "attendet needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/installer.txt
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/installer.txt requirements/development.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

demo: install
	$(BIN)/attendet --version
	$(BIN)/attendet check yolov5s_CBAM
	$(BIN)/attendet summary yolov5s_CBAM
	$(BIN)/python -c 'import attendet, torch; detector = attendet.build("yolov5s_CBAM"); \
		print("built; one image gives", *(tuple(raw.shape) for raw in detector(torch.rand(1, 3, 640, 640))))'

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: install
	$(BIN)/python tools/summaries.py

benchmark: install
	$(BIN)/python benchmarks/attention.py --out benchmarks/results/attention-cpu.md

lock: install
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--output-file requirements/development.txt --group dev pyproject.toml

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache
