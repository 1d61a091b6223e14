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

.PHONY: help setup lab test storm bench play reference doom temperature outputs look clean

help:            ## list the targets
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(READY)  ## create .venv and install the pinned versions

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); \
	  sys.exit(not ok and "wmlib needs Python 3.11 to 3.13, and $(PYTHON) is " + sys.version.split()[0] + ": make $(MAKECMDGOALS) PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $(READY)

lab: setup       ## open JupyterLab on the first notebook
	@flags=""; \
	if [ "$$(id -u)" = 0 ]; then flags="--allow-root"; fi; \
	if ! $(BIN)/python -c 'import webbrowser; webbrowser.get()' 2>/dev/null; then \
	  flags="$$flags --no-browser"; echo "No browser here: open the address that JupyterLab prints below."; fi; \
	exec $(BIN)/jupyter lab --ip=127.0.0.1 $$flags --ServerApp.root_dir=. \
	  --ServerApp.kernel_websocket_connection_class=wmlib.widgets.lab.PromptConnection \
	  --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

test: setup      ## lint, then run every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	WMLIB_PROFILE=smoke OMP_NUM_THREADS=1 $(BIN)/python -m pytest notebooks tests -n 2 --dist loadgroup \
	  --nbval-lax --nbval-current-env --nbval-cell-timeout=600 -rs

storm: setup     ## damage 1,000 files and kill 50 runs at random; prints how each ended
	$(BIN)/python tests/faults/storm.py

bench: setup     ## ours beside its peers: a table, benchmarks/results.json and .png
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt envpool
	$(BIN)/python -m benchmarks --json benchmarks/results.json --figure benchmarks/results.png

play: setup      ## the shipped agent in the real game and in its dream; writes play.gif
	$(BIN)/python -m wmlib play --out play.gif

REFERENCE_RUN := python -m wmlib run --profile laptop --machine.backend envpool --run-dir runs/reference

reference: setup ## train the shipped agent again, from nothing, and score it
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt envpool
	$(BIN)/$(REFERENCE_RUN)
	$(BIN)/python -m wmlib export --run-dir runs/reference --made-by "$(REFERENCE_RUN)"

DOOM_RUN := python -m wmlib run --task takecover --profile laptop --run-dir runs/takecover
DOOM := data/reference/takecover

doom: setup      ## train the agent of Doom's TakeCover again, from nothing, and score it
	$(BIN)/$(DOOM_RUN)
	$(BIN)/python -m wmlib export --run-dir runs/takecover --episodes 500 --made-by "$(DOOM_RUN)"

temperature: setup ## the temperature table: C learns in dreams of five temperatures
	$(BIN)/python -m wmlib temperature --out runs/temperature
	cp runs/temperature/temperature.json runs/temperature/controller_tau_*.safetensors $(DOOM)

outputs: setup   ## run every notebook in the laptop profile and keep its outputs
	WMLIB_PROFILE=laptop $(BIN)/python tests/notebooks/make_outputs.py

look: setup      ## the widgets in a real browser: pictures for the README, and how fast they are
	$(BIN)/python tests/browser/look.py

clean:           ## remove .venv
	rm -rf $(VENV)
