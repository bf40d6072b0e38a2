# `make install` makes .venv with the package and the `attendet` command; `make demo` and `make test` need nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install demo test test-slow fuzz coverage lint format docs pictures lock benchmark clean
.DEFAULT_GOAL := help

help: ## Show what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed ## Install the package and all development tools into .venv

# The stamp is newer than the files it was made from, so nothing is installed twice.
.venv/installed: pyproject.toml requirements/installer.txt requirements/development.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "attendet needs Python 3.11 or newer; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/installer.txt
	$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/installer.txt requirements/development.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# Everything is written to runs/demo. Digits are not flipped, because a mirrored digit is not a digit; `scale` is small,
# because much smaller digits cannot be read; and the class loss is weighted up from its published value for 80 classes.
demo: install ## Train a small YOLOv5 with CBAM on digits in photographs and show what it finds
	$(BIN)/attendet --version
	rm -rf runs/demo/data
	$(BIN)/python tools/demo.py write runs/demo/data
	$(BIN)/attendet data check runs/demo/data/data.yaml --imgsz 160 --picture runs/demo/data-check.png
	$(BIN)/attendet train --data runs/demo/data/data.yaml --cfg yolov5n_CBAM --imgsz 160 --epochs 22 \
		--set augment.fliplr=0 --set augment.scale=0.25 --set loss.cls=4 --out runs/demo/train --exist-ok
	$(BIN)/attendet val runs/demo/train --out runs/demo/val --exist-ok
	$(BIN)/attendet predict runs/demo/train 'runs/demo/data/images/val/00*.jpg' --conf 0.4 --agnostic-nms \
		--out runs/demo/found --exist-ok
	$(BIN)/python tools/demo.py report runs/demo

lint: install ## Check formatting, code, spelling, types, and imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/basedpyright
	$(BIN)/lint-imports

test: lint ## Lint, then run the tests and doctests
	$(BIN)/pytest

test-slow: install ## Run the long tests as well: studies on several processes and on a Ray cluster, simulations
	$(BIN)/pytest -m "slow or not slow"

fuzz: install ## Read hostile inputs for SECONDS from SEED, kill and resume commands; writes docs/reliability.md
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600) --seed $(or $(SEED),1000000)

coverage: install ## Run the tests and fail if they cover less than the floor in pyproject.toml
	$(BIN)/pytest --cov=attendet --cov-report=term:skip-covered

format: install ## Format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: install ## Write the generated pages and tables
	$(BIN)/python tools/api_page.py
	$(BIN)/python tools/summaries.py
	$(BIN)/python tools/insertion_table.py
	$(BIN)/python tools/studies.py

pictures: demo ## Draw the pictures of the README from the demo
	$(BIN)/python tools/readme_pictures.py runs/demo docs/pictures

benchmark: install ## Measure speed; writes benchmarks/results
	$(BIN)/python benchmarks/attention.py --out benchmarks/results/attention-cpu.md --docs docs/attention.md
	$(BIN)/python benchmarks/pipeline.py --out benchmarks/results/pipeline-cpu.md
	$(BIN)/python benchmarks/cbam.py --csv benchmarks/results/cbam.csv
	$(BIN)/python benchmarks/whole_model.py --out benchmarks/results/whole-model-cpu.md

lock: install ## Resolve requirements/development.txt: pinned and hashed
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		--output-file requirements/development.txt --group dev pyproject.toml

clean: ## Remove the environment and all caches
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache
