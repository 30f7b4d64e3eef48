#!/bin/sh
# The comparison, with the arguments given, on the installed HAProxy. Without arguments: everything on the installed one,
# and lookups of clients and resources and their instructions on Debian trixie's, where that can be had. EDGE_HAPROXY names another one.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"

# Instructions of a lookup are compared with those that the repository keeps, where valgrind is.
lua=$(scripts/lua-version.sh)
target=target/lua$(echo "$lua" | tr -d .)
"${CARGO:-cargo}" build --locked --release -p edge-instructions --target-dir "$target"
EDGE_INSTRUCTIONS=$PWD/$target/release/edge-instructions
export EDGE_INSTRUCTIONS

report() { # report ARGUMENTS: on the HAProxy of EDGE_HAPROXY, or on the installed one
    lua=$(scripts/lua-version.sh)
    "${MAKE:-make}" --no-print-directory "module-$lua"
    EDGE_MODULE_DIR="$PWD/dist/lua$lua" "${CARGO:-cargo}" run --locked --release -p edge-benches --bin haproxy-report -- "$@"
}

if [ $# -gt 0 ] || [ -n "${EDGE_HAPROXY:-}" ]; then
    report "$@"
    exit 0
fi
report
if EDGE_HAPROXY=$(scripts/haproxy-root.sh trixie); then
    export EDGE_HAPROXY
    report --only addresses,resources,instructions --sizes 0,1k,1M --rounds 25
else
    echo "bench-haproxy.sh: trixie's HAProxy is not measured, see above" >&2
fi
