# The console's commands. `make run` and `make test` need nothing but make and Python 3.11 or 3.12.

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is really there and supported; PYTHON= chooses another.
PYTHON ?= $(shell for python in python3.11 python3.12 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null \
	&& echo $$python && break; done)
# A Python that somebody names is checked at once, not only when the environment is made.
NAMED := $(if $(filter-out file,$(origin PYTHON)),check-python)
# How long `make soak` goes on.
SECONDS ?= 600
# Arguments for pytest, for example `make test PYTEST="tests/test_health.py -x"`.
PYTEST ?=
WORKERS := $(shell [ "$$(nproc 2>/dev/null || echo 1)" -ge 2 ] && echo "-n 2 --dist loadfile")

.PHONY: run test bench soak setup check-python chromium

run: $(NAMED) $(VENV)/.runs
	@exec $(BIN)/python -m console.embedded run --with-parent

test: $(NAMED) $(VENV)/.tests chromium
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest $(WORKERS) $(PYTEST)

bench: $(VENV)/.tests
	@$(BIN)/python -m bench

soak: $(VENV)/.tests
	@$(BIN)/python tools/soak.py --seconds $(SECONDS)

setup: $(VENV)/.tests

# Files that say what is installed: pip runs again only when the requirements change.
$(VENV)/.runs: requirements.txt $(VENV)/.made
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt || { \
		echo "The packages could not be installed. If one has no wheel for this machine: use Python 3.11 or 3.12" \
		"on Linux x86_64 (make $(firstword $(MAKECMDGOALS)) PYTHON=python3.12)." >&2; exit 1; }
	@touch $@

$(VENV)/.tests: requirements-dev.txt $(VENV)/.runs
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

$(VENV)/.made: | check-python
	@$(PYTHON) -m venv $(VENV) || { \
		echo "No virtual environment could be made: install the venv module of $(PYTHON)" \
		"(on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@touch $@

check-python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or 3.12 is needed and was not found:" \
		"install one, or name it, make run PYTHON=/path/to/python3.12." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null || { \
		echo "$(PYTHON) is not Python 3.11 or 3.12: name one that is, make run PYTHON=/path/to/python3.12." >&2; \
		exit 1; }

# The browser tests drive Debian's Chromium.
chromium:
	@if ! command -v chromium >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing chromium ..."; \
			(apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium) >/dev/null; \
		fi; \
		command -v chromium >/dev/null || { \
			echo "The browser tests need Chromium: install it (on Debian: apt-get install chromium)." >&2; exit 1; }; \
	fi
