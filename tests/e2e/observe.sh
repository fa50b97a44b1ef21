#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What an operator and a portal see of a running bridge: metrics.prom, the history, search, the log as a
# file and what must not be in it. Prints TAP and a closing line. promtool is taken from the PATH or from
# $BUILDDIR (bootstrap.sh puts it there).
. "$(dirname "$0")/lib.sh"
PATH=$PATH:$BUILDDIR

ANN=4915100000002
SECRET="orange bicycle 7391"

start_sim
write_config
cat >>"$WORK/wabridge.yaml" <<'YAML'
messages:
  keep_days: 30
log:
  max_mb: 1
  keep: 1
YAML
account $PHONE Shop
account $ANN "Annegret Beispiel"

run_verb() { "$BUILDDIR/wabridge" "$@" --volume "$VOLUME"; }
metric() { awk -v m="$1" 'index($0, m " ") == 1 { print $2 }' "$VOLUME/metrics.prom" | sed -n 1p; }
metric_is() { [ "$(metric "$1")" = "$2" ]; }

start_bridge
wait_for 10 state_is .status QR_PENDING || not_ok "a QR is published"
check "metrics.prom says QR_PENDING" wait_for 5 metric_is 'wabridge_status{tenant="e2e",status="QR_PENDING"}' 1
cat "$VOLUME/qr.txt" >"$WORK/qr-payloads"
scan
check "the bridge is connected" wait_for 15 connected

# ---- a conversation at level info ---------------------------------------------------------------------
answered() { arrived $ANN $PHONE | jq -e --arg t "$1" '[.messages[] | select(.text == $t)] | length == 1' >/dev/null; }
say $ANN $PHONE "$SECRET geöffnet?" >/dev/null
check "a message is answered" wait_for 15 answered "You wrote: $SECRET geöffnet?"
post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"corrupt_next_message\"}" >/dev/null
say $ANN $PHONE "$SECRET again" >/dev/null
check "one that needed a retry, too" wait_for 20 answered "You wrote: $SECRET again"
post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"close\"}" >/dev/null
check "the connection is lost and made again" wait_for 20 state_is .counters.reconnects 1
wait_for 15 connected
touch "$VOLUME/control/reload"
wait_for 10 test -e "$VOLUME/control/ack/reload.json"

LOG=$VOLUME/logs/wabridge.log
check "logs/wabridge.log is written" test -s "$LOG"
equal "… for the group" 640 "$(stat -c %a "$LOG")"
check "… every line is JSON with time, level, tenant and event" \
    sh -c "jq -es 'length > 5 and all(.[]; .time and .level and .tenant == \"e2e\" and .event)' '$LOG'"
cat "$LOG" "$WORK/bridge.log" >"$WORK/all.log"
lid=$(rows "select coalesce(max(chat_lid), '') from messages" | sed 's/@.*//')
absent() { [ -n "$2" ] && ! grep -qF -- "$2" "$1"; }
check "at level info no message text is logged" absent "$WORK/all.log" "$SECRET"
check "… no name of a customer" absent "$WORK/all.log" Annegret
check "… no phone number" absent "$WORK/all.log" $ANN
check "… nor the account's own" absent "$WORK/all.log" $PHONE
check "… no LID" absent "$WORK/all.log" "$lid"
check "… no QR payload, nor a part of it" sh -c "tr ',' '\n' <'$WORK/qr-payloads' | awk 'length > 15' | { ! grep -qFf - '$WORK/all.log'; }"
to_base64() { # HEX
    # shellcheck disable=SC2059
    printf "$(echo "$1" | sed 's/../\\x&/g')" | base64 -w0
    echo
}
no_keys() {
    local column
    # every blob in keys.db, whole or the first 16 bytes of it, as hex or base64
    sqlite3 "file:$PRIVATE/keys.db?mode=ro" .dump | grep -oiE "X'[0-9a-f]{32,}'" | sed "s/^X'//; s/'$//" |
        while read -r column; do echo "${column:0:32}"; to_base64 "${column:0:48}"; done |
        awk 'length >= 32 && !/^0+$/' | sort -u >"$WORK/keys.txt"
    [ -s "$WORK/keys.txt" ] && ! grep -qiFf "$WORK/keys.txt" "$WORK/all.log"
}
check "… no key" no_keys

# ---- history, search -------------------------------------------------------------------------------------
transitions() { run_verb events --json --limit 1000 | jq -r 'select(.kind == "state") | .session' | tr '\n' ' '; }
check "events tells the states in order" sh -c "echo '$(transitions)' | grep -q 'CONNECTING QR_READY .*CONNECTED DISCONNECTED .*CONNECTED'"
check "… and the errors" sh -c "'$BUILDDIR/wabridge' events --volume '$VOLUME' | grep -q 'error .*connection_lost: '"
check "… each with its time" sh -c "'$BUILDDIR/wabridge' events --json --volume '$VOLUME' | jq -es 'all(.[]; .at | test(\"^20.*Z$\"))'"
found() { run_verb messages --json --search "$1" | jq -rs 'map(.direction) | join(" ")'; }
found_both() { [ "$(found "GEOFFNET bicyc")" = "IN OUT" ]; }
check "messages --search finds words without their diacritics, a heartbeat later" wait_for 10 found_both
equal "… and nothing else" "" "$(found "tricycle")"
equal "--search with no word is a usage error" 64 "$(run_verb messages --search ' ' >/dev/null 2>&1; echo $?)"
equal "messages --chat shows one chat by any of its addresses" "$(rows "select count(*) from messages where chat_pn = '$ANN@s.whatsapp.net'")" \
    "$(run_verb messages --json --limit 1000 --chat $ANN@s.whatsapp.net | wc -l)"
equal "… and nothing of another" "" "$(run_verb messages --json --chat 4915199999999@s.whatsapp.net)"
equal "messages --limit is a table of so many lines for people" "1 yes" \
    "$(run_verb messages --limit 1 | grep -c OUT) $(run_verb messages --limit 1 | grep -q '[{}]' || echo yes)"
columns=$(rows "select group_concat(name, ' ') from (select name from pragma_table_info('messages') where name not in ('turn', 'held', 'report') order by name)")
equal "messages --json shows every column" "$columns" "$(run_verb messages --json --limit 1 | jq -r 'keys | join(" ")')"
"$BUILDDIR/wabridge" messages --volume "$VOLUME" --json --follow --search bicycle --limit 0 >"$WORK/follow.out" 2>&1 &
follower=$!
say $ANN $PHONE "another bicycle" >/dev/null
check "--follow prints what comes, --search applies" wait_for 10 grep -q "another bicycle" "$WORK/follow.out"
kill $follower
wait $follower 2>/dev/null

# ---- metrics ---------------------------------------------------------------------------------------------
check "metrics count what was received" wait_for 5 metric_is 'wabridge_received_total{tenant="e2e"}' 3
equal "… the session is one state of all" "1 CONNECTED" "$(sed -n 's/^wabridge_session_state{.*state="\(.*\)"} 1$/1 \1/p' "$VOLUME/metrics.prom")"
check "… memory is that of the process" sh -c "[ $(metric 'wabridge_process_resident_memory_bytes{tenant="e2e"}') -gt 1000000 ]"
equal "… the size of the database is right" "$(stat -c %s "$VOLUME/messages.db")" "$(metric 'wabridge_database_bytes{tenant="e2e",database="messages"}')"
if command -v promtool >/dev/null; then
    check "promtool finds nothing to mend" sh -c "promtool check metrics <'$VOLUME/metrics.prom'"
else
    echo "ok $((PASSED + FAILED + 1)) - promtool finds nothing to mend # SKIP no promtool"
    PASSED=$((PASSED + 1))
fi

# ---- the log turns over, debugging ------------------------------------------------------------------------
seq -f '{"event":"filler","n":%.0f,"pad":"..................................................................."}' 12000 >>"$LOG"
turned() { touch "$VOLUME/control/reload" && [ -s "$LOG.1" ]; } # the heartbeat sees the size, a line turns it
check "beyond log.max_mb the log is rotated" wait_for 10 turned
stop_bridge
equal "the history ends with the stop" "STOPPED stop control/stop" \
    "$(run_verb events --json --limit 1 | jq -r '"\(.status) \(.code) \(.message)"')"
check "metrics.prom says STOPPED" metric_is 'wabridge_status{tenant="e2e",status="STOPPED"}' 1
sqlite3 "$VOLUME/messages.db" "UPDATE messages SET received_at = received_at - 40 * 86400000 WHERE id = 1"
: >"$WORK/bridge.log"
"$BUILDDIR/wabridge" run --log-content -c "$WORK/wabridge.yaml" 2>>"$WORK/bridge.log" &
BRIDGE_PID=$!
wait_for 15 connected
first_gone() { [ "$(rows "select group_concat(id) || coalesce(max(reply_to = 1), 0) from messages where id < 3")" = 20 ]; }
check "what is older than messages.keep_days is deleted, its answer stays" wait_for 10 first_gone
equal "… and is found no more" OUT "$(found "geoffnet")"
"$BUILDDIR/wabridge" ctl reload --volume "$VOLUME" >/dev/null
say $ANN $PHONE "shown for debugging" >/dev/null
check "--log-content shows what came in, also after a reload" wait_for 10 grep -q '"event":"message_in".*"shown for debugging"' "$WORK/bridge.log"
check "… and what went out" wait_for 10 grep -q '"event":"message_out".*"You wrote: shown for debugging"' "$WORK/bridge.log"
stop_bridge

summary
