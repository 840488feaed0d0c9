# The README's commands are `make run` and `make test`; the rest is for people who change the code.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
AREA ?= net seal engine schedule ledger relay path
SEEDS ?= 1000
SECONDS_EACH ?= 60

.PHONY: help deps run build test check check-deep sanitize fmt lint bench chaos lab sim fuzz package clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

deps: ## Install what is missing: system libraries, the engine, the bundled models
	@scripts/deps

run: ## Build and start the whole network on this machine with the bundled model
	@scripts/build release
	@exec "$$(scripts/build --bin-path release)/darkbloom" up $(ARGS)

build: ## Build everything for release
	@scripts/build release

test: ## Build and run all tests
	@scripts/build tests
	@scripts/test $(ARGS)

lint: ## Check the format
	@swift format lint --strict --recursive Sources Tests Fuzz

fmt: ## Format all Swift files
	@swift format --in-place --recursive Sources Tests Fuzz

check: lint build test ## Format lint, release build, all tests

check-deep: check ## check, then sanitizers, long fuzzing and long test variants
	@scripts/check-deep

sanitize: ## The tests under the thread and the address sanitizer
	@scripts/check-deep threads addresses

bench: ## Measure: make bench, or make bench AREA=net
	@scripts/bench $(AREA)

chaos: ## Kill, freeze and restart machines under 1,000 running answers
	@scripts/build release darkbloom darkbloom-coordinator darkbloom-worker scripted-worker bloom-chaos
	@"$$(scripts/build --bin-path release)/bloom-chaos" $(ARGS)

lab: ## The network on separate hosts: bad lines, crashes, wire reading, a cheating coordinator
	@scripts/lab $(ARGS)

sim: ## Run the simulator on many seeds: make sim SEEDS=1000
	@scripts/build release bloom-sim
	@"$$(scripts/build --bin-path release)/bloom-sim" run --seeds $(SEEDS)

fuzz: ## Fuzz every decoder: make fuzz SECONDS_EACH=60
	@scripts/deps --system-only
	@scripts/fuzz all $(SECONDS_EACH)

package: ## Make Debian packages of all roles in .build/packages
	@scripts/package

clean: ## Remove what was built here; the engine cache stays
	@rm -rf .build
