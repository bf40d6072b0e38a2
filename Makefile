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

# All it writes is in runs/demo. A mirrored digit is none, so nothing is flipped; which of ten it is counts for more than
# the published weight of classes, made for 80, gives it; and a digit much smaller than these cannot be read.
demo: install
	$(BIN)/attendet --version
	rm -rf runs/demo/data
	$(BIN)/python tools/demo.py write runs/demo/data
	$(BIN)/attendet data check runs/demo/data/data.yaml --imgsz 160 --picture runs/demo/data-check.png
	$(BIN)/attendet train --data runs/demo/data/data.yaml --cfg yolov5n_CBAM --imgsz 160 --epochs 22 \
		--set augment.fliplr=0 --set augment.scale=0.25 --set loss.cls=4 --project runs/demo --name train --exist-ok
	$(BIN)/attendet val runs/demo/train --out runs/demo/val
	$(BIN)/attendet predict runs/demo/train 'runs/demo/data/images/val/00*.jpg' --conf-thres 0.4 --agnostic-nms \
		--project runs/demo --name found --exist-ok
	$(BIN)/python tools/demo.py report runs/demo

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
	$(BIN)/python tools/insertion_table.py
	$(BIN)/python tools/first_study.py

benchmark: install
	$(BIN)/python benchmarks/attention.py --out benchmarks/results/attention-cpu.md --docs docs/attention.md
	$(BIN)/python benchmarks/pipeline.py --out benchmarks/results/pipeline-cpu.md
	$(BIN)/python benchmarks/cbam.py --csv benchmarks/results/cbam.csv
	$(BIN)/python benchmarks/whole_model.py --out benchmarks/results/whole-model-cpu.md

lock: install
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--output-file requirements/development.txt --group dev pyproject.toml

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache
