#!/bin/sh
# The manager's page in Debian's Chromium: web-test.sh [what the test runner is given beside].
# axe-core, pinned with its hash, goes to target/web-test: a package of PyPI has it.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
home=$PWD/target/web-test

scripts/install.sh chromium chromedriver openssl pebble
requirements=scripts/web-test.txt
mkdir -p "$home"
if ! cmp -s "$requirements" "$home/installed.txt"; then
    rm -rf "$home/venv"
    if ! python3 -m venv "$home/venv" >"$home/log" 2>&1; then
        scripts/install.sh python3-venv
        python3 -m venv "$home/venv"
    fi
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
        -r "$requirements"
    cp "$requirements" "$home/installed.txt"
fi
EDGE_AXE=$(find "$home/venv" -name axe.min.js -print -quit)
export EDGE_AXE
[ -z "${EDGE_SCREENSHOTS:-}" ] || mkdir -p "$EDGE_SCREENSHOTS"

# The tests run it as an operator does.
"${CARGO:-cargo}" build --locked -p edge-manager
# A browser for each: more than a few at a time wait for each other.
"${CARGO:-cargo}" test --locked -p edge-e2e --test web -- --test-threads=3 "$@"
