# make help lists what can be made. Everything runs in .venv, which `make setup` fills.

PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
READY := $(VENV)/.ready
export PYGAME_HIDE_SUPPORT_PROMPT := 1

# An environment knows its folder by its full name. Moved or copied, it is made anew.
ifneq "$(shell cat $(READY) 2>/dev/null)" "$(CURDIR)"
.PHONY: $(READY)
endif

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PINNED := $(PIP) --constraint constraints.txt

.PHONY: help setup lock lab test storm bench play web site address reference doom overnight temperature outputs look clean

help:            ## list the targets
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY)  ## create .venv and install the pinned versions (LOCKED=1: by their hashes, from PyPI)

$(READY): pyproject.toml constraints.txt requirements.lock
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); \
	  sys.exit(not ok and "wmlib needs Python 3.11 to 3.13, and $(PYTHON) is " + sys.version.split()[0] + ": make $(MAKECMDGOALS) PYTHON=python3.12")'
	@made_in="$$(cat $(READY) 2>/dev/null)"; if [ -n "$$made_in" ] && [ "$$made_in" != "$(CURDIR)" ]; then \
	  echo "$(VENV) was made in $$made_in: it is made anew for $(CURDIR)"; rm -rf $(VENV); fi
	$(PYTHON) -m venv $(VENV)
ifdef LOCKED
	$(PIP) --require-hashes --requirement requirements.lock
	$(PIP) --no-deps --no-build-isolation --editable .
else
	$(PINNED) --editable '.[test]'
endif
	@echo "$(CURDIR)" > $(READY)

lock: setup      ## write requirements.lock anew: every release in constraints.txt, with its hashes
	$(PINNED) uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11.5 --generate-hashes --all-extras \
	  --constraint constraints.txt --output-file requirements.lock pyproject.toml

lab: setup       ## open JupyterLab on the first notebook; its options: make lab ARGS="--port=9999"
	@exec $(BIN)/python -m wmlib.widgets.lab $(ARGS)

test: setup      ## lint, then run every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	WMLIB_PROFILE=smoke OMP_NUM_THREADS=1 $(BIN)/python -m pytest notebooks tests -n 2 \
	  --nbval-lax --nbval-current-env --nbval-cell-timeout=600 -rs

storm: setup     ## damage 1,000 files and kill 50 runs at random; prints how each ended
	$(BIN)/python tests/faults/storm.py

bench: setup     ## ours beside its peers: a table, and benchmarks/results*.json and .png by the processor
	$(PINNED) envpool stable-baselines3
	$(BIN)/python -m benchmarks --keep

play: setup      ## the shipped agent in the real game and in its dream; writes play.gif
	$(BIN)/python -m wmlib play --out play.gif

web: setup       ## what the page in web/ reads, of both shipped agents; then: python -m http.server -d web
	$(BIN)/python -m wmlib export-web --task carracing --title CarRacing --out web/data
	$(BIN)/python -m wmlib export-web --task takecover --title "Doom: take cover" --out web/data

site: web        ## the course as a site, with the page of web/ in it; then: python -m http.server -d site
	$(PINNED) sphinx myst-nb sphinx-book-theme math-core
	rm -rf build/site
	$(BIN)/python -m sphinx -q -E -W -c docs -d build/doctrees . build/site
	rm -rf site && mv build/site site

address: setup   ## write where the repository lies into pyproject, README and notebooks: make address URL=https://...
	$(BIN)/python docs/address.py $(URL)

REFERENCE_RUN := python -m wmlib run --profile laptop --machine.backend envpool --run-dir runs/reference

reference: setup ## train the shipped agent again, from nothing, and score it
	$(PINNED) envpool
	$(BIN)/$(REFERENCE_RUN)
	$(BIN)/python -m wmlib export --run-dir runs/reference --made-by "$(REFERENCE_RUN)"

DOOM_RUN := python -m wmlib run --task takecover --profile laptop --run-dir runs/takecover
CAR := data/reference/carracing
DOOM := data/reference/takecover

doom: setup      ## train the agent of Doom's TakeCover again, from nothing, and score it
	$(BIN)/$(DOOM_RUN)
	$(BIN)/python -m wmlib export --run-dir runs/takecover --episodes 500 --made-by "$(DOOM_RUN)"

OVERNIGHT_CAR := python -m wmlib run --profile overnight --run-dir runs/overnight
OVERNIGHT_DOOM := python -m wmlib run --task takecover --profile overnight --run-dir runs/overnight-doom
# Seeds on which nothing was ever scored before: another block for each version of the weights.
UNSEEN := --first-seed 2700000 --check --game exact

overnight: setup ## train both agents again with more effort, at most 8 hours each, and score them
	$(BIN)/$(OVERNIGHT_CAR)
	$(BIN)/python -m wmlib export --run-dir runs/overnight --episodes 1024 --dream-episodes 100 $(UNSEEN) \
	  --made-by "$(OVERNIGHT_CAR)"
	$(BIN)/$(OVERNIGHT_DOOM)
	$(BIN)/python -m wmlib export --run-dir runs/overnight-doom --episodes 500 $(UNSEEN) \
	  --made-by "$(OVERNIGHT_DOOM)"

temperature: setup ## Doom's C in dreams of five temperatures, and the car's in one that it can cheat
	$(BIN)/python -m wmlib temperature --out runs/temperature
	cp runs/temperature/temperature.json runs/temperature/controller_tau_*.safetensors $(DOOM)
	$(BIN)/python -m wmlib temperature --run-dir $(CAR) --taus 0.1 --dream.generations 40 --dream.population 32 \
	  --dream.episodes 4 --dream.horizon 1000 --episodes 32 --out runs/cheat
	cp runs/cheat/temperature.json runs/cheat/controller_tau_*.safetensors $(CAR)

outputs: setup   ## run every notebook in the laptop profile and keep its outputs
	WMLIB_PROFILE=laptop $(BIN)/python tests/notebooks/make_outputs.py

look: web        ## the widgets and web/ in a real browser: pictures for the README, and how fast they are
	$(BIN)/python tests/browser/look.py
	$(BIN)/python tests/browser/look_web.py

clean:           ## remove .venv
	rm -rf $(VENV)
