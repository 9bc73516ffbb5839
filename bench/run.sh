#!/bin/sh
# Runs the benchmark: bench/run.sh [-quick] [-only section,...]; see cmd/bench.
# Peers that are not here are left out, and said to be. On Debian they come with
#   apt-get install libspandsp-dev python3-fastapi uvicorn python3-websockets python3-uvloop python3-httptools nodejs npm pkg-config
set -e
cd "$(dirname "$0")"

tags=
if pkg-config --exists spandsp 2>/dev/null; then
	tags=spandsp
fi
if command -v npm >/dev/null && [ ! -d callecho/peers/node_modules/ws ]; then
	npm --prefix callecho/peers install --no-package-lock --no-audit --no-fund --silent || echo "ws cannot be had: Node is left out" >&2
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT INT TERM
go build -tags "$tags" -o "$dir/bench" ./cmd/bench
"$dir/bench" "$@"
