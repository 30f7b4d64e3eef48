#!/bin/sh
# Holds the API of edge-manager against its own description: /openapi.json is valid OpenAPI, and whatever schemathesis makes
# of it, no answer is an error of the server, or one that is not described. First of a manager without a HAProxy, then of one
# that has started HAProxy, with the module in EDGE_MODULE_DIR, and reloads it.
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

if ! reason=$(scripts/python-packages.sh api-check 2>&1); then
    not_tested "$reason"
fi

"${CARGO:-cargo}" build --locked -p edge-manager --bin edge-manager -p edge-e2e --bin edge-beside
beside=$PWD/target/debug/edge-beside
describe=$PWD/scripts/api-description.py
cd "$home" # where schemathesis keeps what it has found

check() { # check alone|supervised PATHS-LEFT-OUT
    echo "The API of a manager: $1"
    # The same requests each time: a failure can be looked at again.
    # shellcheck disable=SC2016 # the inner shell expands them: only it is told API_URL and API_KEY
    "$beside" "$1" sh -eu -c '
        venv/bin/python "$1" openapi.json
        exec venv/bin/schemathesis run openapi.json --url "$API_URL" --header "Authorization: Bearer $API_KEY" \
            --exclude-path-regex "$2" --max-examples "$3" \
            --checks not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
            --workers 2 --seed 1 --request-timeout 120 --warnings off --no-color
    ' sh "$describe" "$2" "$examples"
}

# Events never end, so schemathesis would wait for the end of the first answer. Without HAProxy, or without an ACME server, these fail, as they should.
check alone '^/(health|api/(events|reload|config/reload|ssl.*|certificates/re.*))$'
# What holds for all backends says where HAProxy listens: no example is to open a port of this machine.
check supervised '^/api/(events|global|site|ssl.*|certificates/re.*)$'
