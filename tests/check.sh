#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs every test on three builds (ordinary, with sanitizers, with fuzzers) and adds up:
# check.sh BUILD ASAN-BUILD FUZZ-BUILD [--all]. With --all also what takes minutes.
set -u
cd "$(dirname "$0")/.."
PLAIN=$PWD/${1:?} ASAN=$PWD/${2:?} FUZZ=$PWD/${3:?} ALL=${4:-}
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

count() { # PASSED FAILED
    passed=$((passed + $1))
    failed=$((failed + $2))
}

stage() { # NAME: what follows prints into $log
    echo
    echo "== $1"
}

unit() { # DIR
    local status=0 name checks
    timeout 900 make -C "$1" -s -j2 check >"$log" 2>&1 || status=$?
    [ -e "$1/check_base.log" ] || cat "$log"
    for name in "$1"/check_*.log; do
        checks=$(grep -Eo 'Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+' "$name" | tail -n 1)
        echo "$(basename "$name" .log): ${checks:-did not finish}"
        if [ -z "$checks" ]; then
            cat "$name"
            count 0 1
            continue
        fi
        # shellcheck disable=SC2046
        set -- "$1" $(echo "$checks" | grep -Eo '[0-9]+')
        count $(($2 - $3 - $4)) $(($3 + $4))
        [ $(($3 + $4)) = 0 ] || grep -E ':[FE]:' "$name"
    done
    [ $status = 0 ] || [ "$failed" -gt 0 ] || { cat "$log"; count 0 1; }
}

tap() { # SECONDS COMMAND…
    local limit=$1 status=0
    shift
    # Not through a pipe: a process that a script left behind would hold it open for ever.
    timeout "$limit" "$@" >"$log" 2>&1 || status=$?
    cat "$log"
    count "$(grep -c '^ok ' "$log")" "$(grep -c '^not ok ' "$log")"
    if [ "$status" != 0 ] && ! grep -q '^not ok ' "$log"; then
        echo "not ok - $* ended with $status"
        count 0 1
    fi
}

stage "unit tests"
unit "$PLAIN"
stage "unit tests with AddressSanitizer, LeakSanitizer and UBSan"
unit "$ASAN"
stage "end to end"
BUILDDIR=$PLAIN tap 300 tests/e2e/run.sh
stage "TLS"
BUILDDIR=$PLAIN tap 120 tests/e2e/tls.sh
stage "names and addresses"
BUILDDIR=$PLAIN tap 120 tests/e2e/names.sh
stage "every end of a connection"
BUILDDIR=$PLAIN tap 300 tests/e2e/ends.sh
stage "notifications, calls, spoiled stanzas"
BUILDDIR=$PLAIN tap 120 tests/e2e/notices.sh
BUILDDIR=$ASAN tap 200 tests/e2e/notices.sh
stage "end to end with sanitizers"
BUILDDIR=$ASAN tap 300 tests/e2e/run.sh
stage "linking in all its ways"
BUILDDIR=$PLAIN tap 300 tests/e2e/pairing.sh
stage "what runs out while linking"
BUILDDIR=$PLAIN tap 200 tests/e2e/expiry.sh
stage "replies: templates, menus, hand-over, hours"
BUILDDIR=$PLAIN tap 300 tests/e2e/replies.sh
BUILDDIR=$ASAN tap 300 tests/e2e/replies.sh
stage "what an operator sees: metrics, history, search, log"
BUILDDIR=$PLAIN tap 300 tests/e2e/observe.sh
stage "the examples of docs/volume.md"
BUILDDIR=$PLAIN tap 300 tests/e2e/examples.sh
stage "a portal session with nothing but shell tools"
BUILDDIR=$PLAIN tap 120 tests/e2e/session.sh
stage "man pages"
tap 60 tests/man.sh
stage "the way in: resume and routing"
BUILDDIR=$PLAIN tap 120 tests/e2e/transport.sh
stage "the client version"
BUILDDIR=$PLAIN tap 120 tests/e2e/version.sh
stage "without containers: sd_notify, make install, the unit, completion"
BUILDDIR=$PLAIN tap 120 tests/e2e/service.sh
stage "the portal has words for everything"
tap 60 node tests/container/words.mjs
stage "bad input"
BUILDDIR=$PLAIN NAMES=2000 tap 300 tests/e2e/badinput.sh
BUILDDIR=$ASAN NAMES=500 RSS_MORE=200000 tap 300 tests/e2e/badinput.sh
stage "the guards, over kill -9"
BUILDDIR=$PLAIN tap 120 tests/e2e/guards.sh
stage "the outbox, and kill -9 in the middle of it"
BUILDDIR=$PLAIN tap 300 tests/e2e/outbox.sh
stage "files of messages, and kill -9 in the middle"
BUILDDIR=$PLAIN tap 200 tests/e2e/media.sh
BUILDDIR=$PLAIN tap 100 tests/e2e/state.sh
stage "the history of the phone, and kill -9 in the middle"
BUILDDIR=$PLAIN tap 200 tests/e2e/history.sh
BUILDDIR=$ASAN SLOW=3 MANY=1000 ZEROS=10000000 RSS_MORE=200000 tap 300 tests/e2e/history.sh
stage "what happens over the years: refusals, resends, devices, prekeys"
BUILDDIR=$PLAIN tap 300 tests/e2e/traffic.sh
BUILDDIR=$ASAN SLOW=3 tap 400 tests/e2e/traffic.sh
stage "many messages in many chats, and a long backlog"
BUILDDIR=$PLAIN tap 600 tests/e2e/soak.sh
stage "kills and power cuts under load"
BUILDDIR=$PLAIN tap 300 tests/torture/torture.sh
stage "a hostile portal"
BUILDDIR=$PLAIN tap 300 tests/e2e/hostile.sh
stage "a hostile portal, with sanitizers"
BUILDDIR=$ASAN SECONDS_LONG=4 tap 300 tests/e2e/hostile.sh
stage "keys at rest"
BUILDDIR=$PLAIN tap 120 tests/e2e/sealed.sh
stage "backup and its return"
BUILDDIR=$PLAIN tap 300 tests/e2e/backup.sh
stage "interoperation with Baileys"
BUILDDIR=$PLAIN tap 1900 tests/interop/run.sh
stage "the demonstration of ./bootstrap.sh run"
BUILDDIR=$PLAIN tap 120 tests/demo/check.sh
stage "fuzzing, 3 seconds each (make fuzz FUZZ_SECONDS=n for longer)"
tap 400 make -C "$FUZZ" -s -j2 fuzz FUZZ_SECONDS=3
stage "budgets of instructions, syncs, bytes and allocations"
BUILDDIR=$PLAIN tap 300 tests/bench/guard.sh
stage "analysers"
BUILDDIR=$PLAIN tap 300 tests/lint/run.sh gcc cppcheck
if [ "$ALL" = --all ]; then
    stage "10,000 unknown names, 10,000 files in the outbox"
    BUILDDIR=$PLAIN NAMES=10000 SLOW=3 tap 900 tests/e2e/badinput.sh
    BUILDDIR=$PLAIN OUTBOX=10000 SLOW=3 tap 900 tests/e2e/outbox.sh
    stage "kills and power cuts while linking"
    BUILDDIR=$PLAIN tap 300 tests/torture/linking.sh
    stage "disks that are full, read-only, failing, slow"
    BUILDDIR=$PLAIN tap 300 tests/torture/disk.sh
    stage "disks that fail while files of messages are fetched"
    BUILDDIR=$PLAIN tap 300 tests/torture/media.sh
    stage "allocations that fail"
    BUILDDIR=$PLAIN tap 300 tests/torture/memory.sh
    stage "clang-tidy"
    BUILDDIR=$PLAIN tap 900 tests/lint/run.sh clang-tidy
    stage "end to end under valgrind"
    leaks="--leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=99"
    WRAP="valgrind -q $leaks --log-file=$PLAIN/valgrind-%p.log" SANDBOX=--no-sandbox SLOW=6 HEARTBEAT_MS=5000 BUILDDIR=$PLAIN tap 600 tests/e2e/run.sh
fi

# The second tier: real images, real containers, a real browser.
containers() {
    local work reason
    work=$(mktemp -d)
    reason=$(tests/container/possible.sh 2>&1) || { echo "NOT RUN: this machine cannot run containers: $reason"; return; }
    timeout 1200 tests/container/images.sh "$work" || { echo "not ok - the images could not be built"; count 0 1; return; }
    tap 300 tests/container/run.sh
    tap 400 tests/container/portal.sh
    tap 200 tests/container/kube.sh
    tap 900 tests/container/service.sh
    rm -rf "$work"
}
if [ "$ALL" = --all ]; then
    stage "the files of Compose and Kubernetes"
    tap 60 tests/container/files.py "$PLAIN"
    stage "in containers"
    containers
fi

echo
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
