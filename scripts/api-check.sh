#!/bin/sh
# Holds the API of a running edge-manager against its own description: /openapi.json is valid OpenAPI, and whatever
# schemathesis makes of it, no answer is an error of the server, or one that is not described.
# Its Python packages, pinned with hashes, go to target/api-check. Where they cannot be had, a line says that this was not
# tested; with EDGE_API_CHECK=require that is a failure. API_CHECK_EXAMPLES: requests to each endpoint, of each kind.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
home=$PWD/target/api-check
examples=${API_CHECK_EXAMPLES:-10}

not_tested() {
    echo "api-check.sh: NOT TESTED: $1" >&2
    [ "${EDGE_API_CHECK:-}" != require ] || exit 1
    exit 0
}

requirements=scripts/api-check.txt
mkdir -p "$home"
if ! cmp -s "$requirements" "$home/installed.txt"; then
    rm -rf "$home/venv"
    command -v python3 >/dev/null 2>&1 || not_tested "there is no python3"
    if ! python3 -m venv "$home/venv" >"$home/log" 2>&1; then
        scripts/install.sh python3-venv >>"$home/log" 2>&1 || :
        python3 -m venv "$home/venv" >>"$home/log" 2>&1 || not_tested "python3 makes no venv: $(tail -n 1 "$home/log")"
    fi
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
        -r "$requirements" >"$home/log" 2>&1 || not_tested "pip cannot install schemathesis: $(tail -n 1 "$home/log")"
    cp "$requirements" "$home/installed.txt"
fi

"${CARGO:-cargo}" build --locked -p edge-manager
work=$(mktemp -d)
manager=""
end() {
    [ -z "$manager" ] || { kill "$manager" 2>/dev/null; wait "$manager" || :; }
    rm -rf "$work"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

# Nobody's settings but ours; no HAProxy, which would listen wherever an example says.
key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
env -i PATH="$PATH" HAPROXY_API_KEY="$key" EDGE_DATABASE="$work/rules.db" EDGE_STATE_DIR="$work/state" \
    EDGE_CONFIG_DIR="$work/haproxy" EDGE_SOCKET="$work/edge.sock" \
    target/debug/edge-manager serve --listen 127.0.0.1:0 --ready-file "$work/ready" --wait 1ms 2>"$work/log" &
manager=$!
waited=0
while [ ! -s "$work/ready" ]; do
    if ! kill -0 "$manager" 2>/dev/null || [ "$waited" -gt 600 ]; then
        cat "$work/log" >&2
        echo "api-check.sh: edge-manager did not start" >&2
        exit 1
    fi
    waited=$((waited + 1))
    sleep 0.1
done
url=http://$(cat "$work/ready")

"$home/venv/bin/python" - "$url/openapi.json" "$key" "$home/openapi.json" <<'PYTHON'
import json, sys, urllib.request
from openapi_spec_validator import validate
url, key, path = sys.argv[1:]
request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
document = json.load(urllib.request.urlopen(request, timeout=10))
validate(document)
json.dump(document, open(path, "w"), indent=1)
print(f"/openapi.json is valid OpenAPI {document['openapi']}, with {len(document['paths'])} paths")
PYTHON

# Events never end, and these three fail without HAProxy, as they should. The same requests each time: a failure can be
# looked at again.
cd "$home" # where it keeps what it has found
venv/bin/schemathesis run openapi.json --url "$url" --header "Authorization: Bearer $key" \
    --exclude-path-regex '^/(health|api/(events|reload|config/reload))$' \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
    --max-examples "$examples" --workers 2 --seed 1 --request-timeout 30 --warnings off --no-color ||
    { tail -n 20 "$work/log" >&2; exit 1; }
if ! kill -0 "$manager" 2>/dev/null; then
    cat "$work/log" >&2
    echo "api-check.sh: edge-manager has ended meanwhile" >&2
    exit 1
fi
