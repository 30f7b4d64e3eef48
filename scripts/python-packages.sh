#!/bin/sh
# Python packages, pinned with hashes, of scripts/NAME.txt into target/NAME/venv, unless they are there: python-packages.sh NAME
# What it says on stderr, where they cannot be had, is one line.
set -eu
cd "$(dirname "$0")/.."
requirements=scripts/$1.txt
home=$PWD/target/$1
mkdir -p "$home"
! cmp -s "$requirements" "$home/installed.txt" || exit 0

fail() {
    echo "$1: $(tail -n 1 "$home/log")" >&2
    exit 1
}
rm -rf "$home/venv"
: >"$home/log"
command -v python3 >>"$home/log" 2>&1 || scripts/install.sh python3 >>"$home/log" 2>&1 || fail "there is no python3"
if ! python3 -m venv "$home/venv" >>"$home/log" 2>&1; then
    scripts/install.sh python3-venv >>"$home/log" 2>&1 || :
    python3 -m venv "$home/venv" >>"$home/log" 2>&1 || fail "python3 makes no venv"
fi
"$home/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    -r "$requirements" >>"$home/log" 2>&1 || fail "pip cannot install what $requirements names"
cp "$requirements" "$home/installed.txt"
