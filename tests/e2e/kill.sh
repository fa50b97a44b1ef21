#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Kills the bridge with SIGKILL at random moments while contacts write; in the end each message must be
# recorded once and answered once. KILLS (20), MESSAGES (600), RATE per second (60), SEED.
. "$(dirname "$0")/lib.sh"
KILLS=${KILLS:-20} MESSAGES=${MESSAGES:-600} RATE=${RATE:-60} RANDOM=${SEED:-$$}
SEED=${SEED:-$$}

start_sim
QUEUE_PER_CHAT=10000 write_config
account $PHONE Shop
start_bridge
check "linked" eval 'scan && wait_for 15 connected'

load() { get /load | jq -r ".$1"; }
past() { [ "$(load "$1")" -ge "$2" ]; }

post /load "{\"to\":\"$PHONE\",\"contacts\":20,\"messages\":$MESSAGES,\"rate\":$RATE,\"prefix\":\"load\"}" >/dev/null
for ((i = 1; i <= KILLS; i++)); do
    # A random point of the load, then a random moment within the work on it.
    wait_for 60 past sent $((i * MESSAGES / (KILLS + 1))) || not_ok "the load stands still"
    sleep "0.$((RANDOM % 200 + 100))"
    kill -KILL "$BRIDGE_PID"
    wait "$BRIDGE_PID" 2>/dev/null
    start_bridge
done
check "all messages went out" wait_for 120 past sent "$MESSAGES"
check "all messages were answered" wait_for 120 past replied_to "$MESSAGES"
check "the bridge is up" wait_for 20 connected

recorded=$(rows "select count(*) from messages where direction='IN' and text like 'load %'")
distinct=$(rows "select count(distinct text) from messages where direction='IN' and text like 'load %'")
undecryptable=$(rows "select count(*) from messages where kind='undecryptable'")
answers=$(rows "select count(*) from messages where direction='OUT' and reply_to is not null")
twice=$(rows "select count(*) from (select reply_to from messages where direction='OUT' group by reply_to having count(*) > 1)")
replies=$(load replies)
echo "# kills=$KILLS seed=$SEED sent=$MESSAGES recorded=$recorded answered=$(load replied_to) lost=$((MESSAGES - distinct)) twice=$((twice + replies - $(load replied_to))) resent_same_id=$(load reply_duplicates) undecryptable=$undecryptable"
equal "each message is recorded once" "$MESSAGES $MESSAGES" "$recorded $distinct"
equal "each has one answer in the log" "$MESSAGES 0" "$answers $twice"
equal "each customer saw one answer" "$MESSAGES" "$replies"
equal "nothing was undecryptable" 0 "$undecryptable"
summary
