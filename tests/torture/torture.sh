#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Kills the bridge while contacts write: KILLS times with SIGKILL (before, within and after the n-th
# write, sync, rename, unlink, truncation, creation or send, n drawn; every eighth time by the clock),
# CUTS times with a power cut that drops or tears what was not synced. SEED repeats a run. In the end
# every message must be recorded once and answered once, and the last line is the tally.
. "$(dirname "$0")/lib.sh"
KILLS=${KILLS:-60} CUTS=${CUTS:-20}
SPAN=${SPAN:-250} # operations of the longest life; the first 60 or so are the start
PER_ROUND=400     # messages
WHEN=(before torn after)

timed_kill() {
    draw 600
    LIMIT=$(printf '0.%03d' $((DRAWN + 100))) harm FAULTS_SEED=1
}

kill_at_operation() { # CUT
    local n LIMIT=3
    draw "$SPAN"
    n=$((DRAWN + 1))
    draw 3
    harm FAULTS_KILL=$n FAULTS_WHEN="${WHEN[DRAWN]}" FAULTS_CUT="$1" FAULTS_SEED="$SEED$LIVES"
}

one_life() { # CUT
    draw 8
    if [ "$1" = 0 ] && [ "$DRAWN" = 0 ]; then timed_kill; else kill_at_operation "$1"; fi
    start_bridge
    life_ends
    [ "$LIFE" = 137 ] || {
        STRANGE=$((STRANGE + 1))
        echo "# life $LIVES ended with $LIFE: ${WRAP[*]}"
    }
    look
}

# Contacts must have something left to write in every life, or it has nothing to do.
keep_busy() {
    [ "$ROUND" = 0 ] || past replied_to $((ROUND_MESSAGES - ROUND_MESSAGES / 5)) || return 0
    if [ "$ROUND" != 0 ]; then
        round_ends
        kill -KILL "$BRIDGE_PID"
        life_ends
    fi
    round_starts "$PER_ROUND"
}

linked_bridge
kill -KILL "$BRIDGE_PID"
life_ends
CUTS_LEFT=$CUTS KILLS_LEFT=$KILLS LIVES=0
while [ $((KILLS_LEFT + CUTS_LEFT)) -gt 0 ] && [ "$STRANGE" -lt 10 ]; do
    LIVES=$((LIVES + 1))
    keep_busy
    draw $((KILLS_LEFT + CUTS_LEFT))
    if [ "$DRAWN" -lt "$CUTS_LEFT" ]; then
        CUTS_LEFT=$((CUTS_LEFT - 1))
        one_life 1
    else
        KILLS_LEFT=$((KILLS_LEFT - 1))
        one_life 0
    fi
done
round_ends
tally "kills=$KILLS cuts=$CUTS"
summary
status=$?
echo "$TALLY"
exit $status
