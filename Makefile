# Everything a developer does here, by name. Tools are run by version, so that
# nothing has to be installed first.

VERSITYGW   = github.com/versity/versitygw/cmd/versitygw@v1.8.0
GOLANGCI    = go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME   ?= 10s
TESTFLAGS  ?=

.PHONY: run setup test vet lint bench fuzz

run: ## the sample server, on a simulated carrier
	go run ./examples/server

setup: bin/versitygw ## what the tests need besides Go: the programs of a PostgreSQL server and of an S3 server, a browser, and players
	@if ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null; then :; \
	elif [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; \
	else echo "make setup: install a PostgreSQL server, 15 or later (Debian: apt-get install postgresql, as root)" >&2; exit 1; fi
	@if command -v chromium >/dev/null; then :; \
	elif [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
	else echo "make setup: install Chromium (Debian: apt-get install chromium, as root)" >&2; exit 1; fi
	@if command -v soxi >/dev/null && command -v ffprobe >/dev/null; then :; \
	elif [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends sox ffmpeg; \
	else echo "make setup: without sox and ffmpeg, no player of others' is asked about recordings" >&2; fi

bin/versitygw: # a program of its own: its modules are none of ours
	GOBIN="$(CURDIR)/bin" go install $(VERSITYGW)

test: setup vet ## all tests, with the race detector
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
