# Everything a developer does here, by name. Tools are run by version, so that
# nothing has to be installed first.

GOLANGCI    = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME   ?= 10s
TESTFLAGS  ?=

.PHONY: run test vet lint bench fuzz

run: ## the sample server, on a simulated carrier
	go run ./examples/server

test: vet ## all tests, with the race detector
	go test -race -timeout 10m $(TESTFLAGS) ./...
	go test -race -timeout 10m $(TESTFLAGS) ./call -carrier plivo

vet:
	go vet ./...
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }

lint:
	$(GOLANGCI) run ./...

bench: ## against the packages that others use; writes docs/performance.md
	bench/run.sh

fuzz: ## every fuzz target for FUZZTIME each
	@set -e; for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done
