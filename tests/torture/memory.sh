#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The n-th allocation of the bridge gives nothing, ALLOCS times with another n. It may end (out of memory
# aborts: the supervisor starts it again) or live on; no database may be damaged and nothing lost.
# Half of the draws fall into the start, the others into the work.
. "$(dirname "$0")/lib.sh"
ALLOCS=${ALLOCS:-24}
START=11000  # allocations until it is connected, about
WORK_SPAN=${SPAN:-40000}
declare -A ENDS=()

linked_bridge
kill -KILL "$BRIDGE_PID"
life_ends
for ((i = 1; i <= ALLOCS; i++)); do
    draw $((i % 2 ? START : WORK_SPAN))
    n=$((DRAWN + 1 + (i % 2 ? 0 : START)))
    LIMIT=20 harm FAULTS_ALLOC=$n
    round_starts 60
    start_bridge
    over() { past replied_to 60 || ! kill -0 "$BRIDGE_PID"; }
    wait_for 15 over || not_ok "allocation $n failed: it goes on or ends" "$(get /load)"
    kill -TERM "$BRIDGE_PID" 2>/dev/null
    life_ends
    # Stopped, could not open a database, aborted, or a library fell over what it was not given.
    case $LIFE in
    0) how=lived ;;
    69 | 70) how=refused ;;
    134) how=aborted ;;
    139) how=crashed ;;
    *) how=strange STRANGE=$((STRANGE + 1)); echo "# allocation $n: ended with $LIFE" ;;
    esac
    ENDS[$how]=$((${ENDS[$how]:-0} + 1))
    [ $how != crashed ] || echo "# allocation $n: a library crashed"
    look
    round_ends
    kill -KILL "$BRIDGE_PID"
    life_ends
done
start_bridge
echo "# lived=${ENDS[lived]:-0} aborted=${ENDS[aborted]:-0} refused=${ENDS[refused]:-0} crashed=${ENDS[crashed]:-0}"
tally "allocations=$ALLOCS"
summary
status=$?
echo "$TALLY"
exit $status
