# The commands of this repository; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help install demo federation test lint docs bench faults study clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

.venv/.installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

install: .venv/.installed ## make .venv and install from the lock file

demo: install ## four synthetic hospitals learn together, in a few minutes
	$(BIN)/gossamer demo --out demo

federation: install ## four sites as processes on this machine, with mutual TLS between them
	$(BIN)/python examples/four_sites.py --out federation

test: install ## the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --durations 15

lint: install ## formatting, style, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: install ## build the documentation into docs/_build/html
	rm -rf docs/reference/api/generated # pages of modules that are gone
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

bench: install ## the benchmarks: ratios to a floor in the same run
	$(BIN)/python -m benchmarks

faults: install ## the promises under faults in full size; what has a result in runs/faults is not done again
	$(BIN)/python -m faults --full --report docs/reference/faults.md

openkbp.toml: | install
	$(BIN)/gossamer study new $@ --preset openkbp-hn

study: install openkbp.toml ## the README's study, on data/openkbp (docs/tutorials/your-own-study.md); 2 hours
	$(BIN)/gossamer study run openkbp.toml --out runs/openkbp --images

clean: ## remove what the targets made, except the results of studies
	rm -rf .venv docs/_build demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
