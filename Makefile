# TransMix suite. `make help` lists what there is; every target sets up its own environment on first use.
# Its variables stand in experiments/options.mk; `make help` lists them, too. Beside those there are
## LAUNCH=COMMAND  what starts a run's processes, as ".venv/bin/torchrun --standalone --nproc-per-node 8"
## JOBS=N  runs at once
## PLUGINS=DIR:...  folders of your own methods/*.py, rows/*.py, tables/*.py, kinds/*.py: docs/adding.md
## PYTHON=python3.x  what makes .venv

include experiments/options.mk
# What is typed is text: neither make nor the shell acts on a $ or a quote in it.
define newline


endef
$(foreach name,$(VARIABLES) PLUGINS JOBS,$(if $(findstring $(newline),$(value $(name))),$(error $(name) has a line break in it)))
$(foreach name,$(VARIABLES) PLUGINS JOBS,$(if $(value $(name)),$(eval override $(name) := $$(value $(name)))))
$(if $(word 2,$(PLUGINS))$(findstring \,$(PLUGINS)),$(error PLUGINS=$(PLUGINS): make finds no tables in a folder with a space or a backslash in its name: rename it))

# A misspelt name would leave a setting as it is by default, without a word.
given := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
unknown := $(filter-out $(VARIABLES) LAUNCH JOBS PYTHON PLUGINS QUICK ONLY MAKEFLAGS MAKEOVERRIDES -%,$(given))
$(if $(unknown),$(error unknown variable $(unknown): make help lists those there are, in capitals))

# What is given empty is as if it were not given: a recipe that began with an empty LAUNCH would begin with "-".
default = $(if $(strip $(value $1)),,$(eval override $1 := $2))
$(call default,SCALE,tiny)
$(call default,PYTHON,python3)
VENV := .venv/requirements.lock
PY := .venv/bin/python
$(call default,LAUNCH,$(PY))
$(call default,RESULTS,results)
$(call default,DATA,data)
# A run on the CPU has one thread, so several run at once; a GPU, or all that LAUNCH starts, takes one run at a time.
$(call default,JOBS,$(if $(and $(filter smoke tiny desk,$(SCALE)),$(filter $(PY),$(LAUNCH))),$(shell getconf _NPROCESSORS_ONLN),1))
without = $(if $1,$(call without,$(wordlist 2,10,$1),$(subst $(firstword $1),,$2)),$2)
$(if $(call without,0 1 2 3 4 5 6 7 8 9,$(JOBS))$(filter 0,$(JOBS)),$(error JOBS=$(JOBS): must be a whole number from 1))
ifeq ($(filter -j%,$(MAKEFLAGS)),)
MAKEFLAGS += -j$(JOBS)
endif

export PLUGINS

# A table is a file, here or in a folder of PLUGINS; its name is the target, its docstring's first line the help.
TABLE_FILES := $(filter-out %/__init__.py,$(wildcard $(addsuffix /*.py,reports/tables $(addsuffix /tables,$(subst :, ,$(PLUGINS))))))
TABLE_FILES := $(foreach file,$(TABLE_FILES),$(if $(filter _%,$(notdir $(file))),,$(file)))
TABLES := $(patsubst %_,%,$(basename $(notdir $(TABLE_FILES))))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help report page $(TABLES) plan check-paper check-gpu verify bench data test lint clean

help:  ## this list
	@{ grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'; $(foreach file,$(TABLE_FILES),\
	  sed -n '1s/^"*\([^"]*[^".]\)[".]*$$/$(patsubst %_,%,$(basename $(notdir $(file))))\t\1/p' $(call quoted,file);) sed -n 's/^## \([^ ]*\)  /\1\t/p' experiments/options.mk Makefile; } | expand -t 28

report: $(VENV)  ## run what is missing, write the whole report, print its claims
$(TABLES): $(VENV)

plan:  ## every run of the scale: its status, its command, and at paper scale its GPU-hours
	@$(PYTHON) -m experiments plan $(STUDY)

verify: $(VENV)  ## every record, its files and its data against what it claims
	$(PY) -m reports verify $(if $(filter-out results,$(RESULTS)),$(call quoted,RESULTS)) --data $(call quoted,DATA)

check-paper: $(VENV)  ## build and try the paper's twelve models and what they are fine-tuned as (minutes)
	@$(PY) -m experiments check-paper $(if $(ROWS),--rows $(call quoted,ROWS))

check-gpu: $(VENV)  ## what a GPU computes against the CPU: families, precisions, recipes, fine-tuning, a sweep (10 minutes)
	@$(PY) -m experiments check-gpu $(if $(ONLY),--only $(call quoted,ONLY))

page: $(VENV)  ## the report from the records that are there
	$(PY) -m reports $(STUDY)

bench: $(VENV)  ## what training, sweeps and reports take beside their peers, each against its goal (15 minutes; QUICK=1)
	@$(PY) -m benchmarks $(if $(QUICK),--quick,--json $(call quoted,RESULTS)/bench.json)

test: lint  ## lint and every test
	$(PY) -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: $(VENV)  ## ruff: rules and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

clean:  ## remove the environment and caches; results and data stay
	rm -rf .venv .pytest_cache .ruff_cache *.egg-info

# The environment: made once, and again only when the lock file's content changes. Python compiles what it imports, a
# third of all that is there, and keeps it; where it is told not to keep it, all is compiled here.
$(VENV): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "error: $(PYTHON) is older than Python 3.10: run make PYTHON=python3.x"; exit 2; }
	@if cmp -s requirements.lock $@; then touch $@; else echo "setting up .venv (a minute or more, 5.6 GB)" && \
	  $(PYTHON) -m venv .venv && .venv/bin/pip install -q --disable-pip-version-check "$$(grep '^uv==' requirements.lock)" && \
	  .venv/bin/uv pip sync -q $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode) --python $(PY) requirements.lock && cp requirements.lock $@; fi

# What is missing is make's business: one target a record, generated for the study that is asked for.
ifneq ($(filter report $(TABLES) %/record.json,$(MAKECMDGOALS)),)
PLAN := $(shell PLUGINS=$(call quoted,PLUGINS) $(PYTHON) -m experiments makefile $(STUDY))
ifeq ($(PLAN),)
$(error there is nothing to make, see the line above)
endif
include $(PLAN)
# one machine's runs are forked from a process that has loaded the libraries: experiments/shared.py
ifeq ($(LAUNCH),$(PY))
export MAKE_PID := $(shell echo $$PPID)
endif

report: $(RECORDS_report)
	$(PY) -m reports $(STUDY)
$(foreach table,$(TABLES),$(eval $(table): $$(RECORDS_$(table))))
$(TABLES):
	@$(PY) -m reports $(STUDY) --table $@
endif
