# One virtual environment (.venv) with ROS 2 Jazzy from wheels, and every check of the project. See `make help`.

PYTHON ?= python3
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMPS := $(VENV)/.stamps
REQUIREMENTS := requirements/build.txt requirements/run.txt requirements/dev.txt
CONSTRAINTS := requirements/constraints.txt
# What the built half of the package, the message modules, is made from
INTERFACES := $(sort $(wildcard msg/*.msg srv/*.srv action/*.action third_party/tf2_msgs/* third_party/tf2_msgs/msg/* cmake/*)) \
  CMakeLists.txt setup.py pyproject.toml package.xml
NODES := $(sort $(wildcard autocar_ros/ros/nodes/[a-z]*.py))

# Nothing started from here talks to another machine
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup test lint demo colcon clean host FORCE

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: host $(VENV)/READY ## create or refresh .venv; a repeat does nothing

test: setup ## run all tests; PYTEST_ARGS="-k graph" passes arguments to pytest
	tools/run_tests.sh $(BIN)/python $(PYTEST_ARGS)

lint: setup ## ruff on everything, mypy --strict on the numerical core
	@status=0; for tool in "ruff check ." mypy; do echo "$$tool"; $(BIN)/$$tool || status=1; done; exit $$status

demo: setup ## run the whole pipeline on a simulated patient; pictures go to build/demo
	$(BIN)/autocar demo --out build/demo
	@echo "Pictures and report: $(CURDIR)/build/demo"

colcon: setup ## build with colcon over the wheels, as in a ROS workspace, and check what it installs
	tools/check_colcon.sh $(VENV)

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) build install log .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- The environment, step by step: each stamp is newer than what it was made from

host:
	@$(PYTHON) tools/check_host.py

$(STAMPS)/venv: | host
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/requirements: $(REQUIREMENTS) $(CONSTRAINTS) $(STAMPS)/venv
	@echo "Installing the pinned packages (minutes the first time) ..."
	$(PIP) install -qq -c $(CONSTRAINTS) $(addprefix -r ,$(REQUIREMENTS))
	@touch $@

# The lists of files, so that one that was added or removed counts as a change
$(STAMPS)/interface_files: LIST = $(INTERFACES)
$(STAMPS)/node_files: LIST = $(NODES)
$(STAMPS)/interface_files $(STAMPS)/node_files: FORCE | $(STAMPS)/venv
	@echo '$(LIST)' | cmp -s - $@ || echo '$(LIST)' > $@

$(STAMPS)/interfaces: $(STAMPS)/requirements $(STAMPS)/interface_files $(INTERFACES)
	@echo "Building the interfaces (one to two minutes) ..."
	$(PIP) install -qq --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/READY: $(STAMPS)/interfaces $(STAMPS)/node_files tools/link_sources.sh tools/check_venv.py tools/warm_up.py
	tools/link_sources.sh $(VENV)
	$(BIN)/python tools/check_venv.py
	@echo "Compiling the numerical kernels (up to a minute) ..."
	$(BIN)/python tools/warm_up.py
	@touch $@
