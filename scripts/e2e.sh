#!/bin/sh
# Runs the end-to-end tests on one HAProxy after the other, whether or not they pass, and says at the end how they went:
#   e2e.sh installed untried trixie -- what the test runner is given beside
# `installed` is that of this machine, `untried` the same under the name of an untried series, any other word a Debian
# suite. Where one cannot be had, a line says so; with EDGE_MATRIX=require that is a failure.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

names=""
while [ $# -gt 0 ]; do
    word=$1
    shift
    [ "$word" != -- ] || break
    names="$names $word"
done

# Prints the program; what it says instead, where there is none, is one line on stderr.
program_of() {
    case "$1" in
    installed) command -v haproxy || { echo "no haproxy is installed" >&2 && return 1; } ;;
    untried) scripts/untried-haproxy.sh ;;
    *) scripts/haproxy-root.sh "$1" ;;
    esac
}

say() { # say NAME VERSION OUTCOME
    printf '%-10s  %-20s  %s\n' "$@" >>"$work/summary"
}

if ! reason=$(scripts/install.sh nginx 2>&1); then
    echo "e2e.sh: clients behind nginx NOT TESTED: $(echo "$reason" | tail -n 1)" >&2
    [ "${EDGE_MATRIX:-}" != require ] || exit 1
fi
if ! reason=$(scripts/python-packages.sh hypercorn 2>&1); then
    echo "e2e.sh: tunnels through Hypercorn NOT TESTED: $reason" >&2
    [ "${EDGE_MATRIX:-}" != require ] || exit 1
fi
# The tests run it as an operator does.
"${CARGO:-cargo}" build --locked -p edge-manager

failed=""
for name in $names; do
    if ! program=$(program_of "$name" 2>"$work/reason"); then
        case "$name" in trixie) version=3.0 ;; *) version=- ;; esac
        say "$name" "$version" "NOT TESTED: $(tail -n 1 "$work/reason")"
        [ "${EDGE_MATRIX:-}" != require ] || failed=yes
        continue
    fi
    export EDGE_HAPROXY="$program"
    case "$name" in untried) export EDGE_UNTRIED=yes ;; *) unset EDGE_UNTRIED ;; esac
    version=$("$program" -v | sed -n 's/^HAProxy version \([^ ]*\).*/\1/p')
    lua=$(scripts/lua-version.sh)
    "${MAKE:-make}" --no-print-directory "module-$lua"
    export EDGE_MODULE_DIR="$PWD/dist/lua$lua"
    echo "End-to-end tests on HAProxy $version ($name)"
    started=$(date +%s)
    # They wait more than they work, so more of them than processors run at a time.
    {
        "${CARGO:-cargo}" test --locked -p edge-e2e --test e2e -- --test-threads=8 "$@" && echo passed >"$work/$name"
    } | tee "$work/log"
    counts=$(sed -n 's/^test result: [^ ]* \([0-9]* passed; [0-9]* failed\).*/\1/p' "$work/log")
    if [ -e "$work/$name" ]; then outcome=ok; else outcome=FAILED failed=yes; fi
    say "$name" "$version" "$outcome: ${counts:-no test ran}, $(($(date +%s) - started)) s"
done

echo "End-to-end tests by HAProxy:"
cat "$work/summary"
[ -z "$failed" ]
