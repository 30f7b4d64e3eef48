#!/usr/bin/env bash
# Everything that is tested, step by step: test.sh [STEP...]; all steps without one. A step that fails keeps no other from
# running. The end names what failed and what was not tested; what each step said is in target/test/STEP.log.
# The last line is "N passed, N failed, N skipped": tests, and steps without tests as one each. It fails if anything did.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
make=${MAKE:-make}
cargo=${CARGO:-cargo}
logs=target/test
all=(lint workspace lua loom lib e2e series web api valgrind)

install() { scripts/install.sh pebble named ip nginx faketime; }
lint() { "$make" --no-print-directory lint; }
# Those of the manager wait more than they work.
workspace() {
    RUST_TEST_THREADS=${RUST_TEST_THREADS:-4} \
        "$cargo" test --locked --no-fail-fast --workspace --exclude edge-e2e --exclude edge-lua
}
lua() {
    local lua
    lua=lua$(scripts/lua-version.sh | tr -d .)
    "$cargo" test --locked --no-fail-fast -p edge-lua --features "$lua" --target-dir "target/$lua"
}
loom() { "$make" --no-print-directory loom; }
lib() { "$cargo" test --locked --no-fail-fast -p edge-e2e --lib --bins; }
e2e() { scripts/e2e.sh installed; }
# Of the end-to-end tests, those of what another HAProxy could do otherwise.
series() {
    scripts/e2e.sh untried trixie -- addresses:: configs:: conditions:: learned:: life:: linkage:: manager:: manager_api:: \
        paths:: storm:: verdicts:: versions::
}
web() { "$make" --no-print-directory test-web; }
api() { "$make" --no-print-directory test-api; }
valgrind() { "$make" --no-print-directory test-valgrind; }

steps=("$@")
[ $# -gt 0 ] || steps=("${all[@]}")
for step in "${steps[@]}"; do
    case " ${all[*]} " in
    *" $step "*) ;;
    *) echo "test.sh: there is no step \"$step\"; use some of: ${all[*]}" >&2 && exit 2 ;;
    esac
done

passed=0 failed=0 skipped=0 summary="" failures="" missing=""

# The sum of the closing lines of test runners in this log: "PASSED FAILED IGNORED", and how many there were.
sums() {
    awk '/^test result: / { passed += $4; failed += $6; ignored += $8; runs++ }
        END { print passed + 0, failed + 0, ignored + 0, runs + 0 }' "$1"
}

# The last list under "failures:" before each closing line.
failed_tests() {
    awk '/^failures:$/ { names = ""; next }
        /^    [^ ]+$/ { names = names $1 "\n" }
        /^test result: / { if ($6 > 0) printf "%s", names; names = "" }' "$1"
}

run() { # run STEP
    local step=$1 log=$logs/$1.log outcome=ok started ran bad ignored runs untested seconds killed
    echo
    echo "==> $step"
    started=$(date +%s)
    # In a shell of its own: an "exit" of a step ends that one, and "set -e" holds within it.
    set +e
    (
        set -e
        "$step"
    ) 2>&1 | tee "$log"
    [ "${PIPESTATUS[0]}" -eq 0 ] || outcome=FAILED
    set -e
    seconds=$(($(date +%s) - started))
    read -r ran bad ignored runs < <(sums "$log")
    # What a step says where something could not be had.
    untested=$(grep -cE 'NOT TESTED: |(is|are) not checked\.$|: nothing is tested' "$log" || true)
    # A program of tests that was killed has no closing line.
    killed=$(grep -cE "process didn't exit successfully: .*\(signal: " "$log" || true)
    if [ "$outcome" = FAILED ] && { [ "$bad" -eq 0 ] || [ "$killed" -gt 0 ]; }; then
        # It was not built, or has ended before it could say so.
        bad=$((bad + 1))
        failures+="  $step: see $log"$'\n'
    elif [ "$runs" -eq 0 ] && [ "$untested" -eq 0 ]; then
        ran=1
    fi
    failures+=$(failed_tests "$log" | sed "s/^/  $step: /")
    [ -z "$failures" ] || failures=${failures%$'\n'}$'\n'
    missing+=$(grep -E 'NOT TESTED: |(is|are) not checked\.$|: nothing is tested' "$log" | sed "s/^/  $step: /" || true)
    [ -z "$missing" ] || missing=${missing%$'\n'}$'\n'
    passed=$((passed + ran)) failed=$((failed + bad)) skipped=$((skipped + ignored + untested))
    summary+=$(printf '  %-10s %-7s %5d s  %d passed, %d failed, %d skipped' \
        "$step" "$outcome" "$seconds" "$ran" "$bad" "$((ignored + untested))")$'\n'
}

mkdir -p "$logs"
rm -f "$logs"/*.log
trap 'exit 130' INT
trap 'exit 143' TERM
started=$(date +%s)
# What is missing is installed first; where that fails, the steps that need it say so.
run install
for step in "${steps[@]}"; do
    run "$step"
done

echo
echo "Steps, in $((($(date +%s) - started) / 60)) min; logs are in $logs:"
printf '%s' "$summary"
[ -z "$missing" ] || printf 'Not tested:\n%s' "$missing"
[ -z "$failures" ] || printf 'Failed:\n%s' "$failures"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
