# Every target is explained by `make help`.
PROFILE ?= quick
DATA ?= auto
CELLS ?=
MIRROR ?=
PEAKS ?=
TRACKS ?=
BINNED ?=
CSV ?=
SOURCE ?=
RPKM ?=
GTF ?=
GENES ?=
MARKS ?=
VALUE ?=
SUFFIX ?=
# Not the NAME of the shell, which WSL sets.
NAME =
A ?=
B ?=
IGNORE ?=
KEY ?=
RUN ?=
PDF ?= _build/deepchrome2-book.pdf
PARAMS ?=
PORT ?= 8000
JOBS ?=
DAYS ?= 30
YES ?=
CHROMIUM ?=
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)

PY := .venv/bin/python
# A variable's value as it was typed, in quotes that no character of it can end; and as an option.
quoted = '$(subst ','\'',$(value $1))'
option = $(if $(value $2),--$1=$(call quoted,$2))
# Also where nothing is given, which is refused: CSV=$$FOLDER means no download.
given = $(if $(value $2)$(filter command,$(origin $2)),--$1=$(call quoted,$2))
switch = $(if $(filter-out 0 no false off,$(value $2)),--$1)
export JUPYTER_PREFER_ENV_PATH := 1
# Text is UTF-8 in any locale, and what else the shell says to Python (PYTHONPATH, PYTHONSTARTUP,
# PYTHONOPTIMIZE, ...) is meant for other programs.
unexport $(filter PYTHON%,$(.VARIABLES))
export PYTHONUTF8 := 1
BUILD_OPTIONS = $(call option,profile,PROFILE) $(call option,data,DATA) $(call option,jobs,JOBS)

# uv keeps the versions of the present lock where they still fit; all of them run on Python 3.11.0,
# since a distribution's Python 3.11 stays at its early patch.  Left out are what pip brings itself
# and the CUDA packages of a GPU build of torch: pip adds what the build at hand needs.  For the same
# reason there are no hashes: with them pip would refuse the CPU build of torch, another file.
LOCK_HEADER := \# Written by `make lock` from pyproject.toml: exact versions, every extra included.
NOT_LOCKED := (pip|setuptools|wheel|(nvidia|cuda|triton)(-[a-z0-9_-]+)?)

.DEFAULT_GOAL := help
.PHONY: help book test chapter reference notebooks data bench scale rehearsal pdf compare keep links serve check lint lock tidy \
	env clean distclean

help:  ## say what the targets and variables do
	@echo 'make TARGET [VARIABLE=value ...]'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1@\2/p' Makefile | column -t -s @ 2>/dev/null \
		|| sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1: \2/p' Makefile
	@echo 'variables'
	@echo '  PROFILE=smoke|quick|reference|paper  DATA=auto|roadmap|simulated  JOBS=chapters side by side'
	@echo '  DC2LIB_DATA=where the store lies  PYTHON=python 3.11 or newer, to create .venv'
	@echo '  MIRROR=folder or URL  PEAKS=, TRACKS=folder of <cell>-<mark> files  BINNED=.npz, or folder of RData'
	@echo '  CSV=folder in the released layout  RPKM=table of expression  GTF=genes of another genome'
	@echo '  MARKS="H3K4me3 H3K27ac"  VALUE=signal|score|presence, of peaks  SUFFIX=added to the names stored'
	@echo '  PARTIAL=1 files, or genes, of a part of the genome only'
	@echo '  CHROMIUM=a Chromium for check and pdf, where none is found'

book: env  ## execute the chapters that changed, build _build/html/index.html
	@$(PY) -m tools.build $(BUILD_OPTIONS)

test: env  ## run every test, one a core
	@$(PY) -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal

chapter: env  ## one chapter with its own parameters: NAME=data PARAMS="-p seed 1"
	@$(PY) -m tools.build $(BUILD_OPTIONS) --chapter=$(call quoted,NAME) $(call option,parameters,PARAMS)

reference: env  ## run the chapters on the real cell types and keep their results in book/reference
	@$(PY) -m tools.reference $(call option,jobs,JOBS)

notebooks: env  ## pair each chapter with a notebook (book/*.ipynb) for Jupyter
	@$(PY) -m tools.notebooks

data: env  ## fetch the Roadmap cell types [CELLS="E003 E123"] [MIRROR=] [SOURCE=patternchrome], or store yours: PEAKS= TRACKS= BINNED= CSV= [RPKM=]
	@$(PY) -m dc2lib.datasets $(call option,cells,CELLS) $(call option,mirror,MIRROR) \
		$(call given,peaks,PEAKS) $(call given,tracks,TRACKS) $(call given,binned,BINNED) \
		$(call given,csv,CSV) $(call option,source,SOURCE) $(call given,rpkm,RPKM) \
		$(call given,gtf,GTF) $(call option,marks,MARKS) $(call option,value,VALUE) \
		$(call option,suffix,SUFFIX) $(call switch,partial,PARTIAL) $(call switch,refetch,REFETCH)

bench: env  ## time each stage against the plain way of doing it (10 minutes): _build/bench.json
	@$(PY) -m tools.bench

scale: env  ## the full size by simulation, 56 cell types (half an hour, goes on where it stopped): _build/scale.json
	@$(PY) -m tools.bench --full-size

rehearsal: env  ## what a reader runs on 56 simulated cell types, killed half-way and undisturbed: [CELLS=number GENES= NAME=chapter] _build/scale.json
	@$(PY) -m tools.rehearsal $(call option,cells,CELLS) $(call option,genes,GENES) \
		$(call option,profile,PROFILE) $(call option,chapter,NAME)

pdf: env  ## print the built book into one PDF with headless Chromium: [PDF=file] [WHOLE=1: library reference, parameters and solutions too]
	@$(PY) -m tools.pdf $(call option,output,PDF) $(call switch,whole,WHOLE)

compare: env  ## recorded results of two runs side by side: A=runs/e012 B=runs/e013 [IGNORE=cell]
	@$(PY) -m tools.compare $(call option,ignore,IGNORE) $(call option,key,KEY) -- $(call quoted,A) $(call quoted,B)

keep: env  ## keep pages and results of the last `make book`, to compare later: RUN=name
	@$(PY) -m tools.keep $(call quoted,RUN)

links: env  ## ask every address outside of the book that its pages link to
	@$(PY) -m tools.links

serve: env  ## show the built book at http://localhost:8000 (PORT=)
	@$(PY) -m tools.serve $(call quoted,PORT)

check: env  ## open every built page in headless Chromium: two widths, two themes, axe, keyboard
	@$(PY) -m tests.book.check_pages _build/html

lint: env  ## check style of library, tools, tests and chapters
	@$(PY) -m ruff check .

lock: env  ## write requirements.lock anew after changing pyproject.toml
	@cp requirements.lock .venv/lock.part
	@$(PY) -m uv pip compile pyproject.toml --all-extras --python $(PY) --python-version 3.11 \
		--no-header --no-annotate --quiet --output-file .venv/lock.part
	@{ echo '$(LOCK_HEADER)'; sed -E 's/[+].*//; /^$(NOT_LOCKED)==/d' .venv/lock.part; } > .venv/lock.whole
	@mv .venv/lock.whole requirements.lock

tidy: env  ## list kept results of older code, or not used for DAYS=30, by kind; YES=1 removes them
	@$(PY) -m tools.tidy $(call option,days,DAYS) $(call switch,yes,YES)

env:
	@$(PYTHON) tools/environment.py

clean:  ## remove everything built; the environment and the data stay
	rm -rf _build

distclean: clean  ## remove the environment too
	rm -rf .venv dc2lib.egg-info
