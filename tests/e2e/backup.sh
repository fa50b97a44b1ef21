#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# A backup is taken under load; time passes; the backup is put back. The ratchets are behind then: what
# comes under old sessions is asked for again, and everything is recorded and answered once.
. "$(dirname "$0")/lib.sh"
ANN=4915100000002 BEN=4915100000003

start_sim
QUEUE_PER_CHAT=10000 write_config
account $PHONE Shop
account $ANN Ann
account $BEN Ben
start_bridge
check "linked" eval 'scan && wait_for 15 connected'

replied() { [ "$(arrived "$1" $PHONE | jq --arg t "$2" '[.messages[] | select(.text == $t)] | length')" = 1 ]; }
load() { get /load | jq -r ".$1"; }
past() { [ "$(load "$1")" -ge "$2" ]; }

say $ANN $PHONE "before" >/dev/null
check "a session with Ann exists" wait_for 15 replied $ANN "You wrote: before"

# ---- the backup, while the bridge works ----------------------------------------------------------------
post /load "{\"to\":\"$PHONE\",\"contacts\":10,\"messages\":300,\"rate\":100,\"prefix\":\"load\"}" >/dev/null
wait_for 30 past sent 60
check "backup of a running tenant" "$BUILDDIR/wabridge" backup -c "$WORK/wabridge.yaml" "$WORK/backup"
equal "… of two whole databases" "ok ok" "$(for db in keys messages; do sqlite3 "$WORK/backup/$db.db" 'pragma integrity_check'; done | paste -sd ' ')"
equal "… readable by nobody else" "700 600 600" "$(stat -c %a "$WORK/backup" "$WORK/backup/keys.db" "$WORK/backup/messages.db" | paste -sd ' ')"
equal "… without a ratchet" "0 0" "$(for t in session sender_key; do sqlite3 "$WORK/backup/keys.db" "select count(*) from $t"; done | paste -sd ' ')"
equal "a second one into the same directory is refused" 69 "$("$BUILDDIR/wabridge" backup -c "$WORK/wabridge.yaml" "$WORK/backup" >/dev/null 2>&1; echo $?)"
check "the load was not held up" wait_for 60 past replied_to 300
in_backup=$(sqlite3 "$WORK/backup/messages.db" "select count(*) from messages where direction='IN'")
check "the backup is of the middle of it ($in_backup rows)" test "$in_backup" -gt 1 -a "$in_backup" -lt 301

# ---- life goes on, then the backup comes back -----------------------------------------------------------
for i in 1 2 3 4 5; do say $ANN $PHONE "after $i" >/dev/null; done
check "the ratchets move on" wait_for 15 replied $ANN "You wrote: after 5"
stop_bridge
rm -f "$PRIVATE"/keys.db* "$VOLUME"/messages.db*
cp "$WORK/backup/keys.db" "$PRIVATE/" && cp "$WORK/backup/messages.db" "$VOLUME/"
start_bridge
check "it logs in without a QR" wait_for 15 connected
for i in 1 2 3; do say $ANN $PHONE "again $i" >/dev/null; done
say $BEN $PHONE "new here" >/dev/null
check "what comes under the old session is asked for again and answered" wait_for 30 replied $ANN "You wrote: again 3"
check "… all of it" eval 'wait_for 10 replied $ANN "You wrote: again 1" && wait_for 10 replied $ANN "You wrote: again 2"'
check "who had no session is answered" wait_for 15 replied $BEN "You wrote: new here"
equal "each is recorded once, none is left undecryptable" "3 0" "$(rows "select sum(text like 'again %'), sum(status='undecryptable') from messages where direction='IN'" | tr '|' ' ')"
check "no answer from before the backup was seen twice" replied $ANN "You wrote: before"
twice=$(get /load | jq '.replies - .replied_to')
equal "… nor one from after it" 0 "$twice"
stop_bridge
summary
