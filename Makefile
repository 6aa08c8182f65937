# RES Federation. Every target sets up what it needs in .venv, once.
.DEFAULT_GOAL := help
.PHONY: placement-table peers help setup demo test long lint format proto bench fuzz faults kill-campaign ledger-campaign attack chaos sbatch-conformance rendered-conformance deps clean

BIN := .venv/bin
WORKERS ?= 3    # pytest processes: two of them wait for Slurm at first
LINES ?= 1200000 # directive lines of make fuzz
SEED ?= 1
DIR ?=
TRACE ?= ../shared/traces/KTH-SP2-1996-2.1-cln.swf.gz
FIRST ?= 5000   # job lines of make peers; 0 for all
CAMPAIGNS ?= owned outside shared news silent ablation ablation-shared
ARGS ?=         # more arguments: make test ARGS="tests/placement -x", make demo ARGS=--json
STALE := pyproject.toml .ci/constraints.txt

help: ## List what there is to do
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):[^#]*## */  make \1\t/' | expand -t 28

setup: .venv/.dev ## Set up .venv with everything (the others do it themselves)

demo: .venv/.run ## Run the main job: 14 sites on this machine, real scripts, results read back
	@$(BIN)/resfed demo $(ARGS)

test: .venv/.dev ## Run the tests; real components that are missing are skipped with a reason
	@$(BIN)/python -m tests.placement.compile_kernels
	@$(BIN)/python -m pytest -q -n $(WORKERS) $(ARGS)

long: .venv/.dev ## Show every law all its examples, newly drawn (make test shows it a fifth)
	@$(BIN)/python -m tests.placement.compile_kernels
	@RESFED_HYPOTHESIS=long $(BIN)/python -m pytest -q -n $(WORKERS) --timeout 600 -m 'hypothesis or long' $(ARGS)

lint: .venv/.dev ## Check style, types, rooms, proto, spelling, sizes, freshness
	@echo 'ruff';         $(BIN)/ruff check --quiet .
	@echo 'ruff format';  $(BIN)/ruff format --quiet --check . || { $(BIN)/ruff format --check . | grep '^Would'; exit 1; }
	@echo 'mypy';         $(BIN)/mypy --no-error-summary
	@echo 'codespell';    $(BIN)/codespell $$(git ls-files 2>/dev/null || echo .)
	@echo 'buf lint';     cd proto && ../$(BIN)/buf lint
	@echo 'architecture'; $(BIN)/python -m pytest -q -p no:randomly tests/architecture

format: .venv/.dev ## Let ruff put things in order
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

proto: .venv/.dev ## Generate res_federation/api/v1 from proto/
	@cd proto && ../$(BIN)/buf lint
	@.ci/proto .

bench: .venv/.run ## Measure: submits as a ratio to an empty echo, placements and translations a second
	@$(BIN)/resfed bench submit --json $(ARGS)
	@$(BIN)/resfed bench place --json $(ARGS)
	@$(BIN)/resfed bench translate --json

fuzz: .venv/.dev ## Fuzz the reader and the renderer of scripts (ten minutes): LINES, from SEED
	@$(BIN)/python -m tests.fuzz.campaign --seed $(SEED) --lines $(LINES)

faults: .venv/.dev ## Break real Slurm in every way that has a test of its own (ten minutes)
	@$(BIN)/python -m pytest -q -m faults tests/slurm $(ARGS)

kill-campaign: .venv/.dev ## Kill -9 of every part amid 500 jobs on all members; each side effect exactly once
	@RESFED_KILL_JOBS=500 RESFED_KILL_SITES= $(BIN)/python -m pytest -q --timeout 300 tests/journeys/test_kill.py

ledger-campaign: .venv/.dev ## Kill -9 of the broker at random amid a thousand jobs of two projects; the ledger sums to what ran: SEED
	@RESFED_LEDGER_JOBS=1000 RESFED_LEDGER_KILLS=20 RESFED_LEDGER_SEED=$(SEED) $(BIN)/python -m pytest -q --timeout 1800 tests/security/test_ledger_kill.py

attack: .venv/.dev ## Ten thousand connections in each way, and how an honest user fares (three minutes): ARGS="--connections 2000"
	@$(BIN)/python -m tests.security.campaign --seed $(SEED) $(ARGS)

chaos: .venv/.dev ## Break everything amid 500 jobs on three real Slurm clusters: SEED, ARGS="--jobs 500 --faults 70"
	@$(BIN)/python -m tests.chaos.campaign --seed $(SEED) $(ARGS)

sbatch-conformance: .venv/.dev ## Compare with sbatch: recorded answers, or the real one: DIR=folder
	@PYTHONPATH=. $(BIN)/python tests/conformance/sbatch.py $(DIR)

rendered-conformance: .venv/.dev ## Give every rendered script to real Slurm configured like its target (five minutes)
	@PYTHONPATH=. $(BIN)/python tests/conformance/rendered.py $(ARGS)

peers: .venv/.dev ## The same trace through this simulator and AccaSim (from PyPI): TRACE=, FIRST=
	@test -x .venv/peers/bin/python || $(BIN)/python -m venv .venv/peers
	@.venv/peers/bin/pip -q install accasim==1.1.3
	@PYTHONPATH=. $(BIN)/python tests/peers/compare.py $(TRACE) $(FIRST) .venv/peers/bin/python

placement-table: .venv/.run ## Replay the campaigns of simulations/placement into docs/placement.md (hours): CAMPAIGNS=, ARGS=
	@$(BIN)/resfed table $(CAMPAIGNS:%=simulations/placement/%.toml) --out results/placement --update docs/placement.md $(ARGS)

deps: ## Install Debian packages for the tests on real components (root)
	@.ci/deps

clean: ## Remove .venv and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info

.venv/.dev: $(STALE)
	@PYTHON='$(PYTHON)' .ci/setup dev

.venv/.run: $(STALE)
	@PYTHON='$(PYTHON)' .ci/setup run
