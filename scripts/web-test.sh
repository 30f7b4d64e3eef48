#!/bin/sh
# The manager's page in Debian's Chromium: web-test.sh [what the test runner is given beside].
# axe-core goes to target/web-test: a package of PyPI has it. Where it cannot be had, a line says that accessibility was not
# tested; with EDGE_WEB_CHECK=require that is a failure.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"

scripts/install.sh chromium chromedriver openssl pebble
if reason=$(scripts/python-packages.sh web-test 2>&1); then
    EDGE_AXE=$(find "$PWD/target/web-test/venv" -name axe.min.js -print -quit)
    export EDGE_AXE
else
    echo "web-test.sh: accessibility NOT TESTED: $reason" >&2
    [ "${EDGE_WEB_CHECK:-}" != require ] || exit 1
    set -- --skip accessible:: "$@"
fi
[ -z "${EDGE_SCREENSHOTS:-}" ] || mkdir -p "$EDGE_SCREENSHOTS"

# The tests run it as an operator does.
"${CARGO:-cargo}" build --locked -p edge-manager
# A browser for each: more than a few at a time wait for each other.
"${CARGO:-cargo}" test --locked -p edge-e2e --test web -- --test-threads=3 "$@"
