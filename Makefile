# Every target does its own set-up; npm is all that must be there (and Python 3 for the exporter).
SHELL := bash
.DEFAULT_GOAL := help
BIN := $(CURDIR)/node_modules/.bin
export PATH := $(BIN):$(PATH)
# Programs are fetched through the proxy that the environment names, if any.
export NODE_USE_ENV_PROXY := 1

.PHONY: help setup demo test lint types bench verify bench-suite image image-replay exporter-setup exporter-test release-protos format clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: node_modules/.installed services/gen/.generated ## Install packages and generate code

node_modules/.installed: package.json package-lock.json .npmrc
	npm ci
	bash tools/finish-install.sh
	@touch $@

services/gen/.generated: node_modules/.installed tools/generate.sh $(shell find proto prisma -type f 2>/dev/null)
	bash tools/generate.sh
	@touch $@

demo: setup ## A whole farm on this machine renders the bundled clip, shows the result, stops
	./vapfarm demo

test: setup ## Every TypeScript test: unit, contract, integration, fault, e2e
	vitest run

lint: setup ## ESLint, Prettier, knip, dependency-cruiser, buf
	bash tools/lint.sh

types: setup ## The TypeScript compiler, checking only
	tsc --noEmit -p .

bench: setup ## The benchmarks in full; prints what they measured
	node test/bench/main.ts

bench-suite: setup ## A small benchmark of 48 rows in .vapfarm/suite, for vapfarm bench import
	node tools/make-bench-suite.ts .vapfarm/suite

exporter-setup: .venv/.installed ## The exporter's and the Python client's locked environment in .venv

.venv/.installed: exporter/requirements.lock exporter/pyproject.toml $(wildcard exporter/client/*.py exporter/client/*.toml) $(shell find proto -name "*.proto")
	bash exporter/setup.sh
	@touch $@

exporter-test: setup exporter-setup ## ruff and pytest of the exporter and the Python client
	bash tools/exporter-test.sh

verify: ## Everything that CI runs; prints seconds for each part and the total
	bash tools/verify.sh

image: ## An image, by `docker` or ENGINE: make image TARGET=vapfarm BASE=debian:bookworm-slim@sha256:… (deploy/docker)
	bash deploy/docker/build.sh $(TARGET)

image-replay: setup ## The image's steps in a plain folder, without an engine, as root: make image-replay WORK=/var/tmp/replay (minutes)
	node tools/images/replay.ts $(WORK)

release-protos: setup ## With a release: what later protos must stay compatible with (buf breaking, part of lint)
	buf lint proto && buf breaking proto --against proto/released.binpb && buf build proto --exclude-source-info -o proto/released.binpb

format: setup ## Let Prettier write
	prettier --write .

clean: ## Remove what set-up made
	rm -rf node_modules services/gen .venv .cache
