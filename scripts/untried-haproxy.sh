#!/bin/sh
# Prints a copy of the installed HAProxy that gives itself out for one of a series that the tests never tried: the same
# program but for one digit of its exported haproxy_version, which is what the module looks at. Not a number out of
# the blue: the shipped configurations ask for the version too, and must find their settings.
set -eu

fail() {
    echo "untried-haproxy.sh: $1" >&2
    exit 1
}

cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
program=$(command -v haproxy) || fail "no haproxy is installed"
version=$("$program" -v | sed -n 's/^HAProxy version \([^ ]*\).*/\1/p')
case "$version" in
2.6.*) digit=7 ;;
3.2.*) digit=3 ;;
*) fail "knows no untried series beside that of HAProxy $version" ;;
esac

# The place of the text in the file: that of its symbol in its section.
symbol=$(readelf --wide --dyn-syms "$program" | awk '$8 == "haproxy_version" { print $2, $7 }')
[ -n "$symbol" ] || fail "$program does not export haproxy_version"
section=$(readelf --wide --section-headers "$program" |
    awk -v number="${symbol#* }" '{ sub(/^ *\[ */, ""); sub(/\]/, "") } $1 == number { print $4, $5 }')
offset=$((0x${symbol% *} - 0x${section% *} + 0x${section#* }))
found=$(tail -c "+$((offset + 1))" "$program" | head -c "${#version}")
[ "$found" = "$version" ] || fail "haproxy_version of $program is not where it should be: \"$found\""

mkdir -p target/untried
copy=$(mktemp target/untried/XXXXXX)
trap 'rm -f "$copy"' EXIT
cp "$program" "$copy"
printf %s "$digit" | dd of="$copy" bs=1 seek=$((offset + 2)) conv=notrunc 2>/dev/null
chmod 755 "$copy"
untried=$("$copy" -v | sed -n 's/^HAProxy version \([^ ]*\).*/\1/p')
[ "$untried" = "${version%%.*}.$digit${version#?.?}" ] || fail "the copy says \"$untried\""
mv -f "$copy" target/untried/haproxy
echo "$PWD/target/untried/haproxy"
