# Two commands are all a user needs: `make run` and `make test`.
PYTHON ?= python3.11
VENV ?= .venv
# Linux only: without this index pip would take the CUDA build of PyTorch, several GB more.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# --no-deps: the lock names everything; nothing is resolved again. --no-compile: smaller, and faster to set up.
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check --no-input install --quiet --no-compile

CPU_ONLY = import importlib.util, pathlib, runpy; \
  version = pathlib.Path(importlib.util.find_spec('torch').origin).with_name('version.py'); \
  raise SystemExit(runpy.run_path(str(version))['cuda'] and 'This is the CUDA build of PyTorch: see Installation in README.md.')

.PHONY: run test lint lock bench evals vectors clean

run: $(VENV)/.installed
	$(VENV)/bin/clms-assistant serve

# A file stays with one process: what its tests share is made once. A browser beside other tests waits too long.
test: $(VENV)/.installed-dev lint
	$(VENV)/bin/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --ignore=tests/web
	$(VENV)/bin/python -m pytest tests/web

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/.installed-dev
	$(VENV)/bin/python -m evals.bench.ndvi_median

evals: $(VENV)/.installed-dev
	$(VENV)/bin/python -m evals --check

# After products have changed: what comes with the package need not be encoded at the first start.
vectors: $(VENV)/.installed
	$(VENV)/bin/python -m knowledge.card_vectors

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --no-deps --retries 0 --extra-index-url $(TORCH_INDEX) "$$(grep '^torch==' requirements.lock)"
	@$(VENV)/bin/python -c "$(CPU_ONLY)"
	$(PIP) --no-deps -r requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(PIP) --no-deps -r requirements-dev.lock
	@touch $@

# Needs uv, and PyTorch's CPU wheel where pip finds it; for maintainers only.
lock:
	sed -i '/^torch==/d' requirements.lock requirements-dev.lock
	uv pip compile pyproject.toml --group build --python-version 3.11 --no-header --no-annotate --quiet -o requirements.lock
	uv pip compile pyproject.toml --group dev --python-version 3.11 --no-header --no-annotate --quiet -o requirements-dev.lock
	sed -i 's/^torch==\([0-9.]*\).*/torch==\1/' requirements.lock requirements-dev.lock

clean:
	rm -rf $(VENV)
