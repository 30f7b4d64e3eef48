#!/bin/sh
# Prints a program that runs the HAProxy of another Debian suite on its own libraries:
#   haproxy-root.sh trixie
# The suite's packages are fetched once (60 MB, 240 MB unpacked) into EDGE_ROOTS, or ~/.cache/edge-filter/roots;
# remove the directory of a suite to get its newest ones. Needs no rights: debootstrap chooses, fetches and verifies,
# and nothing of the suite is installed, mounted or entered. Its own loader starts HAProxy, on paths of this machine.
set -eu

fail() {
    echo "haproxy-root.sh: $1" >&2
    exit 1
}

[ $# -eq 1 ] || fail "say: haproxy-root.sh SUITE"
suite=$1
case "$suite" in '' | *[!a-z]*) fail "\"$suite\" is not the name of a Debian suite" ;; esac
scripts=$(cd "$(dirname "$0")" && pwd)
roots=${EDGE_ROOTS:-${XDG_CACHE_HOME:-${HOME:-}/.cache}/edge-filter/roots}
case "$roots" in
/.cache/*) fail "neither EDGE_ROOTS nor HOME is set" ;;
/*) ;;
*) fail "EDGE_ROOTS is not an absolute path: $roots" ;;
esac
root=$roots/$suite
if [ -x "$root/haproxy" ]; then
    echo "$root/haproxy"
    exit 0
fi

PATH="$PATH:/usr/sbin:/sbin"
mkdir -p "$roots" 2>/dev/null || fail "cannot make $roots"
# What was killed in the middle left its directory behind.
find "$roots" -maxdepth 1 -name ".*.??????" -mmin +60 -exec rm -rf {} + 2>/dev/null || :
making=$(mktemp -d "$roots/.$suite.XXXXXX" 2>/dev/null) || fail "cannot write to $roots"
child=""
trap 'rm -rf "$making"' EXIT
trap '[ -z "$child" ] || { kill "$child"; wait "$child"; }; exit 1' HUP INT TERM
# mktemp gives it to us alone, but a worker that gave up its rights runs from here too.
chmod 755 "$making"

log=$making/log
last_words() { # last_words: of whatever wrote the log, on one line
    sed -n '/^[EW]: /h; $!b; x; /./!x; p' "$log"
}

if ! command -v debootstrap >/dev/null 2>&1; then
    "$scripts/install.sh" debootstrap >"$log" 2>&1 || fail "cannot install debootstrap: $(last_words)"
fi
# A network that swallows packets would keep it for an hour. In the background, where signals to us end it at once.
timeout --kill-after=10 300 debootstrap --force-check-gpg --download-only --variant=minbase --include=haproxy \
    "$suite" "$making" >"$log" 2>&1 &
child=$!
if ! wait "$child"; then
    fail "debootstrap cannot fetch $suite: $(last_words)"
fi
child=""
for package in "$making"/var/cache/apt/archives/*.deb; do
    dpkg-deb --extract "$package" "$making" >>"$log" 2>&1 || fail "cannot unpack ${package##*/}: $(last_words)"
    rm -f "$package"
done

loader=$(cd "$making" && echo usr/lib/*-linux-gnu/ld-linux-*.so.?)
[ -x "$making/$loader" ] || fail "$suite has no dynamic loader for this processor"
cat >"$making/haproxy" <<EOF
#!/bin/sh
# HAProxy of Debian's $suite. A master executes itself anew by its first argument, which is this file.
root=\${0%/*}
exec "\$root/$loader" --argv0 "\$0" --library-path "\$root/${loader%/*}" "\$root/usr/sbin/haproxy" "\$@"
EOF
chmod 755 "$making/haproxy"
"$making/haproxy" -v >"$log" 2>&1 || fail "HAProxy of $suite does not run here: $(last_words)"
rm -f "$log"
# Whoever was faster made the same.
if ! mv -T "$making" "$root" 2>/dev/null && ! [ -x "$root/haproxy" ]; then
    fail "cannot make $root: is something else there?"
fi
echo "$root/haproxy"
