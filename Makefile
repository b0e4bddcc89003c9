# thymos: every command works on a fresh machine with Python 3.11 or newer and make.
#
#   make demo    the main job on a small model; writes demo/report.html
#   make test    the tests
#
# The first run makes .venv and installs into it; later runs install nothing unless pyproject.toml or constraints.txt
# changed. PYTHON=... chooses the interpreter of .venv, VENV=... its place.

.POSIX:
SHELL = /bin/sh

VENV = .venv
PY = $(VENV)/bin/python
PIP = $(PY) -m pip --disable-pip-version-check
PYTHON =
OUT = demo
WORKERS = 2
PYTEST = OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist loadfile --durations=10

.PHONY: help demo demo-reader test test-slow lint docs tables bench bench-peers clean distclean

help:
	@echo 'make demo         stories, vectors, map and steering on the bundled model; writes $(OUT)/report.html'
	@echo 'make demo-reader  extract, validate, map and read on a small real encoder; writes $(OUT)-reader/report.html'
	@echo 'make test         the tests, without the slow ones'
	@echo 'make test-slow    lint, the site, and the slow tests (kill -9, the notebooks, the wheel in a fresh environment)'
	@echo 'make lint         ruff, mypy, the import contract, the public names'
	@echo 'make docs         the documentation site, into site/'
	@echo 'make tables       write the generated tables of the documentation anew'
	@echo 'make bench-peers  environments of the libraries that thymos is measured against, into .bench/'
	@echo 'make bench        the benchmarks, peers included where they are installed'
	@echo 'make clean        remove what was built; make distclean removes the environments too'

# An interpreter that is new enough, or a message that says what is missing.
$(VENV)/made.stamp:
	@set -e; \
	names='$(PYTHON)'; \
	[ -n "$$names" ] || names='python3.11 python3 python3.12 python3.13 python3.14 python'; \
	chosen=; \
	for name in $$names; do \
	  if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then chosen=$$name; break; fi; \
	done; \
	if [ -z "$$chosen" ]; then \
	  echo "thymos needs Python 3.11 or newer; none found under these names: $$names" >&2; \
	  echo "(python3 here is: $$(python3 --version 2>&1 || true))" >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2; \
	  exit 1; \
	fi; \
	echo "making $(VENV) with $$("$$chosen" --version)"; \
	if ! "$$chosen" -m venv $(VENV); then \
	  rm -rf $(VENV); \
	  echo "$$chosen cannot make a virtual environment; install its venv module (Debian, Ubuntu: python3-venv)." >&2; \
	  exit 1; \
	fi; \
	touch $@

# torch comes first and alone: where pip finds a CPU build of the pinned version, no other build can be drawn in.
$(VENV)/torch.stamp: $(VENV)/made.stamp constraints.txt
	@echo 'installing torch (the largest download; once)'
	@$(PIP) install --quiet -c constraints.txt torch
	@touch $@

$(VENV)/core.stamp: $(VENV)/torch.stamp pyproject.toml constraints.txt
	@echo 'installing thymos'
	@$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/demo.stamp: $(VENV)/torch.stamp pyproject.toml constraints.txt
	@echo 'installing thymos and the encoder of its second demo'
	@$(PIP) install --quiet -c constraints.txt -e '.[demo]'
	@touch $(VENV)/core.stamp $@

$(VENV)/dev.stamp: $(VENV)/torch.stamp pyproject.toml constraints.txt
	@echo 'installing thymos and the tools of its tests'
	@$(PIP) install --quiet -c constraints.txt -e '.[dev]'
	@touch $(VENV)/core.stamp $(VENV)/demo.stamp $@

$(VENV)/docs.stamp: $(VENV)/dev.stamp
	@echo 'installing the tools of the site'
	@$(PIP) install --quiet -c constraints.txt -e '.[dev,docs]'
	@touch $@

# Without the weights of the bundled model the demo runs on the encoder.
WEIGHTS = $(wildcard src/thymos/bundled/models/bundled/model.safetensors)

demo: $(VENV)/$(if $(WEIGHTS),core,demo).stamp
	@HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false $(VENV)/bin/thymos demo $(if $(WEIGHTS),,--reader) --out $(OUT)
	@echo 'report: $(OUT)/report.html (open it in a browser; it loads nothing from a network)'
	@echo 'to use thymos in this shell: . $(VENV)/bin/activate'

demo-reader: $(VENV)/demo.stamp
	@HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false $(VENV)/bin/thymos demo --reader --out $(OUT)-reader
	@echo 'report: $(OUT)-reader/report.html'
	@echo 'to use thymos in this shell: . $(VENV)/bin/activate'

test: $(VENV)/dev.stamp
	$(PYTEST) -m 'not slow'

test-slow: lint docs
	$(PYTEST) -m slow

lint: $(VENV)/dev.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -q tests/test_public_names.py

docs: $(VENV)/docs.stamp
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

tables: $(VENV)/dev.stamp
	$(PY) tests/docs/doc_tables.py

bench-peers: $(VENV)/dev.stamp
	$(PY) -m benchmarks.peers install

bench: $(VENV)/dev.stamp
	$(PY) -m benchmarks.peers list
	$(PY) -m benchmarks.capture
	$(PY) -m benchmarks.corpus
	$(PY) -m benchmarks.memory
	$(PY) -m benchmarks.battery

clean:
	rm -rf site build dist $(OUT) $(OUT).run $(OUT)-reader .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) .bench
