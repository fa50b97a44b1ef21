#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Many messages in many chats, and a long backlog: nothing is lost or answered twice, and memory does not grow with them.
# MESSAGES (2000) in CONTACTS (200) chats, in ROUNDS (4); then OFFLINE (1000) that wait at login. `make soak` takes 100000,
# 2000 and 10000. Judged are the numbers; memory and time are printed, and memory only when MEMORY_KIB is set.
#
# Memory is anonymous memory: private dirty less the pages of the program itself that are still dirty after it was built.
# Measured is what the bridge keeps at rest (bridge/rest.c), some seconds after the last message of a round: under way it
# is higher by what the round needs (page caches, a step of the search index), whichever round it is.
. "$(dirname "$0")/lib.sh"

MESSAGES=${MESSAGES:-2000} CONTACTS=${CONTACTS:-200} OFFLINE=${OFFLINE:-1000} ROUNDS=${ROUNDS:-4} PATIENCE=${PATIENCE:-120}
HEARTBEAT_MS=10000 QUEUE_PER_CHAT=10000 POLL=0.2

memory() { awk '/^Anonymous:/ { print $2 }' "/proc/$BRIDGE_PID/smaps_rollup"; } # KiB
at_rest() { # the same for so many seconds
    local now
    now=$(memory)
    [ "$now" = "${seen:-}" ] || { seen=$now since=$SECONDS; }
    [ $((SECONDS - since)) -ge 4 ]
}
peak() { awk '/^VmHWM:/ { print $2 }' "/proc/$BRIDGE_PID/status"; }                 # KiB, since it was started
load() { get /load | jq -r ".$1"; }
all_answered() { [ "$(load replied_to)" -ge "$1" ] && [ "$(load acked)" -ge "$1" ]; }
all_settled() { [ "$(rows "select queued from totals")" = 0 ]; }
run_load() { # MESSAGES PREFIX
    post /load "{\"to\":\"$PHONE\",\"contacts\":$CONTACTS,\"messages\":$1,\"rate\":0,\"prefix\":\"$2\"}" >/dev/null
}
counted() { rows "select count(*) from messages where $1"; }

start_sim
write_config
account $PHONE Shop
start_bridge
check "linked" eval 'scan && wait_for 15 connected'
[ "$FAILED" = 0 ] || { tail -n 3 "$WORK/bridge.log" | sed "s/^/# /"; exit 1; }
wait_for 15 grep -q backlog_done "$WORK/bridge.log"
wait_for 30 at_rest
echo "# memory, idle: $(memory) KiB"

# ---- many chats ------------------------------------------------------------------------------------------
each=$((MESSAGES / ROUNDS))
for ((round = 1; round <= ROUNDS; round++)); do
    start=$SECONDS
    run_load $each "round-$round"
    check "round $round: $each messages are answered" wait_for "$PATIENCE" all_answered $each
    wait_for 30 all_settled
    equal "… each once" "$each 0" "$(load replies) $(load reply_duplicates)"
    took=$((SECONDS - start)) busy=$(memory)
    wait_for 30 at_rest
    last=$(memory)
    echo "# memory after $((round * each)) messages in $CONTACTS chats: $busy KiB, at rest $last KiB; $took s"
    [ "$round" = 1 ] && first=$last
done
echo "# from the first round to the last: $((last - first)) KiB"
[ -z "${MEMORY_KIB:-}" ] || check "memory grew by less than $MEMORY_KIB KiB after the first round" test $((last - first)) -lt "$MEMORY_KIB"
equal "every message is recorded" $((ROUNDS * each)) "$(counted "direction = 'IN'")"
equal "… and every answer" $((ROUNDS * each)) "$(counted "direction = 'OUT' and status in ('sent', 'delivered', 'read')")"
equal "in as many chats" "$CONTACTS" "$(rows "select count(distinct chat) from messages")"

# ---- a long backlog ----------------------------------------------------------------------------------------
stop_bridge
recorded=$(counted "direction = 'IN'")
run_load "$OFFLINE" "offline"
all_sent() { [ "$(load sent)" -ge "$OFFLINE" ]; }
check "$OFFLINE messages wait while nobody is there" wait_for "$PATIENCE" all_sent
start=$EPOCHREALTIME
start_bridge
all_recorded() { [ "$(counted "direction = 'IN'")" -ge $((recorded + OFFLINE)) ]; }
check "all are taken at login" wait_for "$PATIENCE" all_recorded
echo "# $OFFLINE messages of the backlog: recorded after $(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }") s, peak of resident memory $(peak) KiB"
check "… and answered" wait_for "$PATIENCE" all_answered "$OFFLINE"
echo "# … answered after $(awk "BEGIN { printf \"%.1f\", $EPOCHREALTIME - $start }") s, memory $(memory) KiB, peak $(peak) KiB"
equal "none is lost" $((recorded + OFFLINE)) "$(counted "direction = 'IN'")"
equal "all are marked as from the backlog" "$OFFLINE" "$(counted "offline and text like 'offline %'")"
equal "none is answered twice" "$OFFLINE 0" "$(load replies) $(load reply_duplicates)"
taken() { [ "$(get /accounts | jq "[.accounts[] | select(.phone == \"$PHONE\") | .devices[] | select(.id == 1) | .queued][0]")" = 0 ]; }
check "nothing is left in the server's queue" wait_for 30 taken
equal "nothing was asked for again" 0 "$(get /stats | jq .retries)"
equal "no message key was used twice" 0 "$(get /stats | jq .key_reuse)"

# ---- a backlog that is too old to answer -----------------------------------------------------------------------
stop_bridge
sed -i 's/^replies:/replies:\n  enabled: false/' "$WORK/wabridge.yaml"
recorded=$(counted "direction = 'IN'") answers=$(counted "direction = 'OUT'")
few=$((OFFLINE / 10))
post /load "{\"to\":\"$PHONE\",\"contacts\":$CONTACTS,\"messages\":$few,\"rate\":0,\"prefix\":\"quiet\"}" >/dev/null
OFFLINE=$few
wait_for "$PATIENCE" all_sent
start_bridge
check "with answers off the backlog is recorded" wait_for "$PATIENCE" all_recorded
equal "… and not answered" "$answers" "$(counted "direction = 'OUT'")"
summary
