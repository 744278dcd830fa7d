# Everything a developer needs; `make help` lists it.

GO       ?= go
# go-nvml compiles against headers that mark old names; its pages of warnings hide ours.
export CGO_CFLAGS ?= -g -O2 -Wno-deprecated-declarations
# The race detector sleeps a second at the end of every process unless it is told not to: of 180 test binaries and hundreds of servers.
export GORACE ?= atexit_sleep_ms=0
BIN      := bin
ARGS     ?=
FUZZTIME ?= 20s
LINT     := $(BIN)/golangci-lint
SDKS     := $(BIN)/sdks
SOURCES  := $(shell find . -name '*.go' -o -name '*.s' -not -path './tools/lint/*') go.mod go.sum demo/demo-shapes.safetensors demo/workflow.json \
            $(shell find web server/auth/login server/openapi -type f -not -name '*.go')

.DEFAULT_GOAL := build

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

.PHONY: setup
setup: ## fetch the Go modules and the ONNX Runtime library (checked against pinned SHA-256)
	$(GO) mod download
	$(GO) run ./tools/fetch-ort

.PHONY: cuda
cuda: ## fetch the ONNX Runtime build for NVIDIA GPUs
	$(GO) run ./tools/fetch-ort -cuda

.PHONY: build
build: $(BIN)/comfygo ## build bin/comfygo

$(BIN)/comfygo: $(SOURCES)
	$(GO) build -o $@ .

.PHONY: testbin
testbin: ## build bin/comfygo-testnodes, the program plus test-only nodes
	$(GO) build -tags testnodes -o $(BIN)/comfygo-testnodes .

.PHONY: run
run: setup build ## start the server on port 8188 with the built-in model; ARGS="--listen …" adds flags
	$(BIN)/comfygo --demo-model $(ARGS)

.PHONY: demo
demo: setup build ## make an image with the built-in model through the server's API
	$(GO) run ./tools/demo -server $(BIN)/comfygo

.PHONY: test
test: setup ## run every test under the race detector
	@$(GO) run ./tools/untested -fetch
	@test -e $(SDKS)/python/bin/httpx -a -e $(SDKS)/node/node_modules/axe-core || timeout 120 $(MAKE) --no-print-directory sdks || echo 'going on without the SDKs of others'
	$(GO) test -race -vet=off -shuffle=on -timeout 30m ./... # make lint vets
	@$(GO) run ./tools/untested

.PHONY: race
race: setup ## run every test again under the race detector, nothing cached
	$(GO) test -race -shuffle=on -count=1 -timeout 30m ./...

.PHONY: sdks
sdks: ## install the pinned clients that others have written for the Comfy API v2, and what the examples in Python need
	npm install --silent --no-audit --no-fund --no-save --prefix $(SDKS)/node @comfyorg/sdk@0.1.9 axe-core@4.14.1
	python3 -m venv $(SDKS)/python
	$(SDKS)/python/bin/pip install --quiet --disable-pip-version-check comfy-sdk==0.5.0 requests==2.34.2 websocket-client==1.9.2

.PHONY: cudacheck cuda-check
cudacheck: ## write the graphs of all model families for CUDA, without a GPU, and look for operators without a kernel; ARGS=-write stores their digests
	$(GO) run ./tools/cudacheck $(ARGS)
cuda-check: cudacheck

.PHONY: cudadry cuda-dry
cudadry: cuda ## run CUDA sessions over a stub of NVIDIA's libraries, without a GPU: launches, copies, memory, errors (a C++ compiler, 3 GB, minutes)
	$(GO) test -count=1 -timeout 30m -v -tags drygpu ./tests/drygpu $(ARGS)
cuda-dry: cudadry

.PHONY: golden
golden: setup ## compare with recorded images and numbers, the full-size model included (4 GB of memory, minutes); GOLDEN=DIR runs the goldens of a folder instead
ifdef GOLDEN
	$(GO) run ./tools/goldencheck -golden $(GOLDEN) $(ARGS)
else
	$(GO) run ./tools/goldencheck $(ARGS)
	$(GO) test -count=1 -timeout 60m -tags fullsize -run 'Golden' ./...
	$(GO) test -count=1 -timeout 60m -tags fullsize ./tests/hostile
endif

.PHONY: packkills
packkills: setup ## end the Python process of node packs 50 times under load, and print 1 GB from it; shows how long /health took
	COMFYGO_PACK_KILLS=50 $(GO) test -count=1 -timeout 30m -v -run 'TestPackKills|TestPackHostile' ./tests

.PHONY: bench
bench: setup build ## measure what requests cost, then start, memory, steps and decoding; ARGS="-checkpoint FILE" for a model of yours
	$(GO) build -tags benchnodes -o $(BIN)/comfygo-bench .
	$(GO) run ./tools/httpbench -server $(BIN)/comfygo -padded $(BIN)/comfygo-bench
	$(GO) run ./tools/bench -server $(BIN)/comfygo $(ARGS)

.PHONY: soak
soak: build ## feed the server with thousands of tiny prompts; it fails when memory or goroutines grow
	$(GO) run ./tools/soak -server $(BIN)/comfygo $(ARGS)

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME each
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "$$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; done

$(LINT): tools/lint/go.mod tools/lint/go.sum
	cd tools/lint && $(GO) build -o ../../$(LINT) github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: lint
lint: $(LINT) ## check style, mistakes, the direction of imports and the vocabulary of texts
	$(LINT) run ./...
	$(GO) run ./tools/vocabulary
	@! grep -rlE --include='*.go' '^(import )?[[:space:]]*"C"' . | grep -vE '^\./(engine/ort|device)/' || \
	  { echo 'cgo lives in engine/ort and device only'; exit 1; }

.PHONY: vuln
vuln: build ## look the program's modules up in Go's vulnerability database, where that can be reached
	@tools/vulncheck.sh $(BIN)/comfygo

# The targets of a release; those of OPTIONAL may fail to build on this machine, which is said.
TARGETS  ?= $(shell $(GO) env GOOS)/$(shell $(GO) env GOARCH)
OPTIONAL ?=
DIST     ?= dist

.PHONY: release
release: ## make the archives of a release, SHA256SUMS and an SBOM; TARGETS=linux/amd64,linux/arm64 VERSION=1.2.3 choose
	$(GO) run ./tools/release -out $(DIST) -targets $(TARGETS) -optional "$(OPTIONAL)" -version "$(VERSION)"

.PHONY: scale-check
scale-check: ## kill servers, workers and NATS 30 times while 2,000 jobs run: every job ends once (about 3 minutes)
	FLEET_JOBS=2000 FLEET_BLOWS=30 FLEET_SERVERS=3 FLEET_WORKERS=4 FLEET_EVERY_MS=2000 FLEET_PAUSE_MS=500 $(GO) test -count=1 -v -timeout 20m ./tests/fleet

.PHONY: newcomer
newcomer: ## go from a release archive to the first image as another user with an empty environment
	$(GO) test -count=1 -v -timeout 15m -tags newcomer ./tests/newcomer

.PHONY: zig
zig: ## get zig, the C compiler for other systems' releases
	python3 -m venv $(BIN)/zig
	$(BIN)/zig/bin/pip install --quiet --disable-pip-version-check ziglang==0.17.1

.PHONY: notices
notices: ## write THIRD_PARTY_NOTICES.md anew
	$(GO) run ./tools/release -notices > $(BIN)/notices.md && mv $(BIN)/notices.md THIRD_PARTY_NOTICES.md

.PHONY: fmt
fmt: $(LINT) ## format every file
	$(LINT) fmt ./...

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN)
