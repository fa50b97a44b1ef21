#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# run.sh TARGET…: each fuzzer for FUZZ_SECONDS (10), two at a time. Corpora are kept in
# BUILDDIR/corpus; tests/fuzz/corpus holds what once broke something. Prints TAP.
set -u
: "${BUILDDIR:?set BUILDDIR to a build made with CC=clang and --enable-fuzzers}"
TOP=$(cd "$(dirname "$0")/../.." && pwd)
SECONDS_EACH=${FUZZ_SECONDS:-10}
JOBS=${FUZZ_JOBS:-2}
CORPUS=$BUILDDIR/corpus
export VECTORS_DIR=$TOP/tests/vectors
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

mkdir -p "$CORPUS" "$BUILDDIR/fuzz-logs"
"$BUILDDIR/fuzz_seed" "$CORPUS" || exit 1
for target in "$@"; do
    mkdir -p "$CORPUS/$target"
done
for target in yaml reply; do
    mkdir -p "$CORPUS/$target"
    cp "$TOP"/conf/*.yaml "$TOP"/conf/replies/*.yaml "$CORPUS/$target"
done
for target in json state control; do
    mkdir -p "$CORPUS/$target"
    cp "$TOP"/docs/state.schema.json "$CORPUS/$target/schema"
done

fuzz() { # TARGET
    local log=$BUILDDIR/fuzz-logs/$1.log known=() status=0
    [ ! -d "$TOP/tests/fuzz/corpus/$1" ] || known=("$TOP/tests/fuzz/corpus/$1")
    timeout $((SECONDS_EACH + 60)) "$BUILDDIR/fuzz_$1" -max_total_time="$SECONDS_EACH" -print_final_stats=1 \
        -timeout=20 -rss_limit_mb=2048 -max_len=20000 -artifact_prefix="$BUILDDIR/fuzz-logs/$1-" \
        "$CORPUS/$1" "${known[@]}" >"$log" 2>&1 || status=$?
    local runs cover
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    cover=$(grep -Eo 'cov: [0-9]+' "$log" | tail -n 1)
    if [ $status = 0 ]; then
        echo "ok - fuzz_$1: ${runs:-0} executions, ${cover:-cov: 0}, corpus $(find "$CORPUS/$1" -type f | wc -l) files"
    else
        echo "not ok - fuzz_$1 ended with $status"
        grep -Ev '^(#|INFO)' "$log" | head -n 40 | sed 's/^/# /'
    fi
    return $status
}
export -f fuzz
export BUILDDIR TOP CORPUS SECONDS_EACH

printf '%s\n' "$@" | xargs -P "$JOBS" -I{} bash -c 'fuzz {}'
status=$?
rm -rf /dev/shm/wabridge-fuzz-* /tmp/wabridge-fuzz-*
exit $status
