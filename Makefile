# SPDX-License-Identifier: BSD-3-Clause
# The verbs. The build itself is meson's.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
SUITE ?=
KEEP ?=
WERROR ?=
MINUTES ?=
SEED ?=
export BUILD PREFIX DESTDIR SUITE KEEP WERROR MINUTES SEED

.DEFAULT_GOAL := help
.PHONY: help setup setup-build build demo test chaos bench lint format install clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10
	@echo
	@echo 'Variables: BUILD=$(BUILD) PREFIX=$(PREFIX) DESTDIR= SUITE= (test) KEEP=1 RATE= COUNT= (demo) MINUTES= SEED= (chaos)'

setup: ## install the Debian packages that are missing (needs root if any is)
	@tools/setup.sh

setup-build:
	@tools/setup.sh --build

build: setup-build ## build into BUILD
	@tools/build.sh $(BUILD)

demo: build ## events through a real port into Kafka and files; KEEP=1 leaves it running
	@tools/demo.sh

test: setup ## all tests, also with sanitizers; SUITE=unit for one suite
	@tests/run.sh $(SUITE)

chaos: setup build ## faults for MINUTES=5 (SEED=): nothing acknowledged may be missing or there twice
	@ninja --quiet -C $(BUILD) chaos

bench: build ## ns per event of each stage and of the chain, into BUILD/bench.json
	@perf/bench.sh

lint: setup ## formats, clang-tidy, shellcheck, and a build in which warnings are errors
	@tools/lint.sh

format: setup ## clang-format over all C files
	@tools/lint.sh --format

install: build ## install below PREFIX (and DESTDIR), man pages included
	@meson configure $(BUILD) -Dprefix=$(PREFIX)
	@meson install -C $(BUILD)

clean: ## remove what was built
	rm -rf build build-*
