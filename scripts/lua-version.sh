#!/bin/sh
# Prints the Lua version of HAProxy, such as 5.3: of the program EDGE_HAPROXY, or of the installed one.
set -eu
PATH="$PATH:/usr/sbin:/sbin"
version=$("${EDGE_HAPROXY:-haproxy}" -vv | sed -n 's/^Built with Lua version : Lua \(5\.[0-9]*\).*/\1/p')
case "$version" in
5.3 | 5.4) echo "$version" ;;
*)
    echo "lua-version.sh: Edge Filter needs an HAProxy with Lua 5.3 or 5.4; haproxy -vv says: ${version:-none}" >&2
    exit 1
    ;;
esac
