#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What fixed workloads (tests/bench/work.c) cost in instructions, syncs, bytes written and allocations, and
# how large the program is, against tests/bench/budgets: numbers that do not depend on the machine's mood.
#
#   guard.sh                TAP; a figure above its budget and tolerance fails and says was/now
#   guard.sh --rewrite      today's figures become the budgets
#   guard.sh --profile DIR  leaves callgrind's files in DIR, one for each workload
#
# MESSAGES (100, in hundreds) is the length of the workloads `answer` and `flood`.
. "$(dirname "$0")/../e2e/lib.sh"
BUDGETS=$TOP/tests/bench/budgets MESSAGES=${MESSAGES:-100}

die() {
    echo "Bail out! $*"
    exit 1
}

run_work() { # COMMAND… in front of the program
    rm -rf "$VOLUME" "$PRIVATE" && mkdir -p "$VOLUME" "$PRIVATE"
    "$@" "$BUILDDIR/work" -n "$MESSAGES" "$WORK/wabridge.yaml" "$TOP/tests/vectors/nodes.json" 2>>"$WORK/work.log" ||
        die "$(tail -n 5 "$WORK/work.log")"
}

# One line for each workload: NAME DIVISOR instructions syncs writes written_bytes allocations …
measure() { # DIR
    local name divisor rest n=0
    run_work valgrind --tool=callgrind --callgrind-out-file="$1/dump" --dump-before=bench_phase_over \
        --toggle-collect=bench_bridge_wakes --toggle-collect=bench_bridge_hears --toggle-collect=bench_decode \
        >"$1/counts"
    while read -r name divisor rest; do
        n=$((n + 1))
        [ "$name" != - ] || continue
        echo "$name $divisor $(sed -n 's/^totals: //p' "$1/dump.$n") $rest"
        mv "$1/dump.$n" "$1/$name.callgrind"
    done <"$1/counts"
    rm -f "$1"/dump*
}

# Figures: WORKLOAD FIGURE VALUE, for one message (or stanza, or time).
figures() {
    awk 'BEGIN { split("instructions syncs writes written_bytes allocations allocated_bytes moments", name, " ") }
        { for (i = 3; i <= NF; i++) if ($1 != "decode" || name[i - 2] ~ /instr|alloc/) if (i < 9 || $1 == "idle")
              printf "%s %s %.2f\n", $1, name[i - 2], $i / $2 }' "$WORK/measured"
    cp "$BUILDDIR/wabridge" "$WORK/stripped" && strip "$WORK/stripped"
    size "$WORK/stripped" | awk 'NR == 2 { print "program", "text_and_data_bytes", $1 + $2 }'
}

# Syncs are counted, not estimated; the rest differs a little between versions of compiler and libraries.
rewrite() {
    {
        sed '/^[a-z]/d' "$BUDGETS"
        awk '{ printf "%-8s %-20s %12s %4s\n", $1, $2, $3, $2 == "syncs" ? 2 : 5 }' "$WORK/figures"
    } >"$WORK/budgets" && cp "$WORK/budgets" "$BUDGETS"
    cat "$BUDGETS"
}

compare() {
    local workload figure budget tolerance now
    while read -r workload figure budget tolerance; do
        now=$(awk -v w="$workload" -v f="$figure" '$1 == w && $2 == f { print $3 }' "$WORK/figures")
        case $(awk -v was="$budget" -v now="${now:-none}" -v t="$tolerance" 'BEGIN {
            if (now == "none" || now + 0 > was * (1 + t / 100)) print "above"
            else print now < was * (1 - t / 100) ? "below" : "within" }') in
        above) not_ok "$workload: $figure" "was $budget, now ${now:-not measured} (tolerance $tolerance %)" ;;
        below) ok "$workload: $figure # was $budget, now $now: guard.sh --rewrite keeps it" ;;
        *) ok "$workload: $figure $now" ;;
        esac
    done < <(grep '^[a-z]' "$BUDGETS")
    summary
}

if [ "$(uname -m)" != x86_64 ] || ! command -v valgrind >/dev/null; then
    echo "1..0 # SKIP the budgets are of x86_64, and valgrind counts"
    exit 0
fi
make -C "$BUILDDIR" -s all work >"$WORK/make.log" 2>&1 || die "$(cat "$WORK/make.log")"
# The simulator is in the same process; endpoint and root key stand in for one.
ENDPOINT=ws://127.0.0.1:1/ NOISE_ROOT=$(printf '%064d' 0) HEARTBEAT_MS=10000 QUEUE_PER_CHAT=10000
write_config
profiles=$WORK
[ "${1:-}" != --profile ] || profiles=$(mkdir -p "${2:?}" && cd "$2" && pwd)
measure "$profiles" >"$WORK/measured"
figures >"$WORK/figures"
case ${1:-} in
--rewrite) rewrite ;;
--profile) cat "$WORK/figures" ;;
*) compare ;;
esac
