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

# Texts that a target takes as a piece, its length in front.
piece() { # TEXT
    # shellcheck disable=SC2059
    printf "$(printf '\\x%02x\\x%02x' $((${#1} / 256)) $((${#1} % 256)))"
    printf '%s' "$1"
}
mkdir -p "$CORPUS/outbox" "$CORPUS/hours" "$CORPUS/passkey"
{ printf '\0'; piece '{"to":"4915112345678","text":"Hi","quote":"3EB0","not_before":"2026-01-02T03:04:05Z"}'; } >"$CORPUS/outbox/good"
{ printf '\1'; piece notes.txt; piece '{"to":"1@g.us","text":"x","expires_at":"2026-01-02T03:04:05.000Z"}'; } >"$CORPUS/outbox/name"
{ printf '\0\x6a\x70\0\0'; piece Africa/Nairobi; piece 'Mon-Fri 09:00-18:00, Sat 10:00-02:00, 12-24..01-02 closed, 2026-12-24 09:00-12:00'; } >"$CORPUS/hours/all"
webauthn() { jq -j ".webauthn.$1" "$VECTORS_DIR/passkey.json"; }
{ piece "$(webauthn request_options_text)"; piece "$(webauthn webauthn_assertion_node_text)"; } >"$CORPUS/passkey/answer"

# Decoders unpack by descriptor or by the generated function; each message so unpacked is a case of fuzz_protobuf.
unpacked=$(grep -rhoE 'wa__[a-z_]+__(descriptor|unpack)' "$TOP"/src/wa/*.c "$TOP"/src/bridge/*.c | sed -E 's/__(descriptor|unpack)$//' | sort -u)
forgotten=$(for name in $unpacked; do grep -q "X($name)" "$TOP/tests/fuzz/fuzz_protobuf.c" || echo "$name"; done)
[ -z "$forgotten" ] || { echo "not ok - protobufs that fuzz_protobuf.c does not know: $forgotten"; exit 1; }
echo "ok - fuzz_protobuf knows all $(wc -w <<<"$unpacked") protobufs that are unpacked"

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
