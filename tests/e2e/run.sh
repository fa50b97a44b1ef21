#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The main job, end to end: the bridge as a process, its volume as a portal sees it, the simulator as
# WhatsApp. Prints TAP and a closing line.
. "$(dirname "$0")/lib.sh"

ANN=4915100000002

start_sim
write_config
account $PHONE Shop
account $ANN Ann

# ---- bad input first -------------------------------------------------------------------------------
run_status() {
    timeout 20 "$BUILDDIR/wabridge" run -c "$1" >"$WORK/bad.out" 2>&1
    echo $?
}

printf 'tenant:\n  id: x\nwhatsap:\n  endpoint: ws://127.0.0.1:1/\n' >"$WORK/bad.yaml"
equal "a broken configuration exits 78" 78 "$(run_status "$WORK/bad.yaml")"
check "… and names file:line:column and the nearest key" grep -q "bad.yaml:3:1: .*whatsap.*whatsapp" "$WORK/bad.out"
sed "s|$VOLUME|/proc/no-such-volume|" "$WORK/wabridge.yaml" >"$WORK/bad-volume.yaml"
equal "an unusable volume exits 69" 69 "$(run_status "$WORK/bad-volume.yaml")"
check "… and names the path, the uid and what mends it" grep -Eq "/proc/no-such-volume.*process is $(id -u):.*mend: " "$WORK/bad.out"
equal "an unknown verb exits 64" 64 "$("$BUILDDIR/wabridge" frobnicate >/dev/null 2>&1; echo $?)"

# ---- linking ---------------------------------------------------------------------------------------
start_bridge
check "a QR is published" wait_for 10 state_is .status QR_PENDING
equal "qr.png carries what qr.txt says" "$(cat "$VOLUME/qr.txt")" "$(zbarimg --nodbus --raw -q "$VOLUME/qr.png")"
check "health is good while a QR waits" "$BUILDDIR/wabridge" health --volume "$VOLUME"
check "the process confined itself, or says that this build does not" grep -Eq '"event":"(confined|confined_in_part|not_confined)"' "$WORK/bridge.log"
equal "… but not ready" 1 "$("$BUILDDIR/wabridge" health --ready --volume "$VOLUME" >/dev/null 2>&1; echo $?)"
equal "a second bridge on the same directories exits 100" 100 "$(run_status "$WORK/wabridge.yaml")"
check "… and names the path" grep -q "$PRIVATE" "$WORK/bad.out"
# A pairing that was tampered with on its way is refused, named, and a new QR follows.
last_error_is() { state_is .last_error.code "$1"; }
for kind in wrong_adv_hmac wrong_adv_signature; do
    post /faults "{\"target\":\"$PHONE\",\"kind\":\"$kind\"}" >/dev/null
    before=$(state .qr.generation)
    scan 2>/dev/null
    check "$kind: the pairing is refused" wait_for 10 last_error_is pairing_refused
    newer_qr() { [ "$(state .qr.generation)" -gt "$before" ] && state_is .status QR_PENDING && test -s "$VOLUME/qr.png"; }
    check "$kind: a new QR follows" wait_for 10 newer_qr
done
check "the phone scans the picture" scan
check "the bridge is RUNNING and CONNECTED" wait_for 15 connected
equal "status is RUNNING" RUNNING "$(state .status)"
check "the QR is gone" test ! -e "$VOLUME/qr.png" -a ! -e "$VOLUME/qr.svg" -a ! -e "$VOLUME/qr.txt"
equal "the account is published" "$PHONE@s.whatsapp.net" "$(state .account.pn | sed 's/:[0-9]*@/@/')"
check "health --ready is good" "$BUILDDIR/wabridge" health --ready --volume "$VOLUME"

# ---- a message and its answer ------------------------------------------------------------------------
replied() { arrived "$1" $PHONE | jq -e --arg t "$2" '[.messages[] | select(.text == $t)] | length == 1' >/dev/null; }
recorded() { [ "$(rows "select count(*) from messages where direction='IN' and wa_id='$1'")" = 1 ]; }

id=$(say $ANN $PHONE "Good morning ☕ صباح الخير")
check "the reply arrives, decrypted by the contact" wait_for 15 replied $ANN "You wrote: Good morning ☕ صباح الخير"
check "the message is recorded once" recorded "$id"
equal "… with its text" "Good morning ☕ صباح الخير" "$(rows "select text from messages where wa_id='$id'")"
say $ANN $PHONE "When are you open?" >/dev/null
check "an intent answers" wait_for 15 replied $ANN "We are open from 9 to 17."
equal "… and is noted in the row" hours "$(rows "select intent from messages where direction='OUT' order by id desc limit 1")"
delivered() { [ "$(rows "select count(*) from messages where direction='OUT' and status in ('delivered','read')")" = 2 ]; }
check "delivery receipts reach the rows" wait_for 10 delivered
recent() { jq -e "$1" "$VOLUME/recent.json" >/dev/null; }
check "recent.json has both, with their status" wait_for 10 recent \
    '.schema == "wabridge.recent/1" and ([.messages[] | select(.direction == "OUT" and (.status == "delivered" or .status == "read"))] | length == 2)'
check "… in the order of id, with times and text" recent '.messages == (.messages | sort_by(.id)) and .messages[0].text == "Good morning ☕ صباح الخير" and (.messages[0].at | endswith("Z"))'
own_copy() { get "/accounts/$PHONE/messages" | jq -e '[.messages[] | select(.own)] | length >= 2' >/dev/null; }
check "the owner's phone got copies of the replies" wait_for 10 own_copy
say $PHONE $ANN "written on the phone" >/dev/null
from_phone() { [ "$(rows "select count(*) from messages where from_me=1 and text='written on the phone'")" = 1 ]; }
check "what the owner writes on the phone is recorded" wait_for 10 from_phone

# ---- control ---------------------------------------------------------------------------------------
touch "$VOLUME/control/reload"
acked() { [ "$(ack_of "$1" .result)" = "$2" ]; }
check "touch control/reload is acked" wait_for 10 acked reload done
printf '  oops: 1\n' >>"$WORK/wabridge.yaml"
touch "$VOLUME/control/reload"
check "a broken reload is acked as failed" wait_for 10 acked reload failed
check "… with file:line:column" sh -c "jq -r '.error, .detail' '$VOLUME/control/ack/reload.json' | grep -Eq 'wabridge.yaml:[0-9]+:[0-9]+'"
equal "… and the bridge runs on" CONNECTED "$(state .session.state)"
sed -i '$d' "$WORK/wabridge.yaml"
sed -i 's/You wrote/You said/' "$WORK/replies.yaml"
"$BUILDDIR/wabridge" ctl reload --volume "$VOLUME" >"$WORK/ctl.out" 2>&1
equal "ctl reload waits for its ack" 0 $?
say $ANN $PHONE "again" >/dev/null
check "the reloaded template answers" wait_for 15 replied $ANN "You said: again"
touch "$VOLUME/control/dance"
check "an unknown command is acked with its error" wait_for 10 acked dance "unknown command"
ln -s /etc/passwd "$VOLUME/control/logout"
touch "$VOLUME/control/reload"
check "a symlink as a command is refused" wait_for 10 test ! -L "$VOLUME/control/logout"
equal "… and nothing was unlinked" CONNECTED "$(state .session.state)"

# ---- a lying server ----------------------------------------------------------------------------------
reconnects() { [ "$(state .counters.reconnects)" -gt "$1" ] && connected; }
fault() { # KIND ERROR-CODE [EXTRA]
    local before
    before=$(state .counters.reconnects)
    post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"$1\"${3:-}}" >/dev/null || { not_ok "fault $1"; return; }
    check "$1: the link is closed and dialled again" wait_for 20 reconnects "${before:-0}"
    equal "$1: last_error says $2" "$2" "$(state .last_error.code)"
}
fault bad_server_mac protocol_error
fault truncated_frame connection_lost
fault overlong_frame protocol_error
fault malformed_node protocol_error
fault zip_bomb protocol_error
fault deep_node protocol_error
fault stream_error server_unavailable ',"code":"503"'
fault close connection_lost

before=$(state .counters.reconnects)
# A resumed login shows no certificate.
post /faults '{"target":"next_connection","kind":"resume_refused"}' >/dev/null
post /faults '{"target":"next_connection","kind":"bad_certificate"}' >/dev/null
post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"close\"}" >/dev/null
check "a bad certificate chain is refused, then retried" wait_for 20 reconnects $((before + 0))
check "… and was named" grep -q '"event":"handshake_failed"' "$WORK/bridge.log"

# ---- undecryptable -------------------------------------------------------------------------------------
post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"corrupt_next_message\"}" >/dev/null
id=$(say $ANN $PHONE "corrupted on the way")
check "an undecryptable message is asked for again and answered" wait_for 20 replied $ANN "You said: corrupted on the way"
equal "… its row is complete" "text|received" "$(rows "select kind, status from messages where wa_id='$id'")"
check "… and was counted" wait_for 5 state_is .counters.decrypt_failures 1

# ---- restart, offline ------------------------------------------------------------------------------------
stop_bridge
equal "touch control/stop ends with exit 0" 0 $?
equal "STOPPED is written last" "STOPPED 0" "$(jq -r '"\(.status) \(.exit.code)"' "$VOLUME/state.json")"
touch "$VOLUME/control/stop"
offline_id=$(say $ANN $PHONE "are you there?")
older() { [ $(($(date +%s%3N) - $(date -d "$(stat -c %z "$VOLUME/control/stop")" +%s%3N))) -gt 200 ]; }
wait_for 5 older
start_bridge
check "it logs in again without a QR" wait_for 15 connected
check "a stop from before the start is answered stale" wait_for 10 acked stop stale
check "what came while it was offline is answered" wait_for 15 replied $ANN "You said: are you there?"
equal "… and marked offline" 1 "$(rows "select offline from messages where wa_id='$offline_id'")"

# ---- records that cannot be read ---------------------------------------------------------------------------
stop_bridge
sqlite3 "$PRIVATE/keys.db" "update session set value = x'ffff00'"
start_bridge
say $ANN $PHONE "sessions are gone" >/dev/null
check "sessions that cannot be read do not stop it" wait_for 20 replied $ANN "You said: sessions are gone"
counted() { [ "$(state .counters.records_set_aside)" -ge 1 ]; }
check "… they are counted" wait_for 5 counted
equal "… and set aside" ffff00 "$(sqlite3 -readonly "$PRIVATE/keys.db" "select lower(hex(value)) from set_aside limit 1")"

# ---- status and log ----------------------------------------------------------------------------------------
check "status speaks" sh -c "'$BUILDDIR/wabridge' status --volume '$VOLUME' | grep -q RUNNING"
check "messages lists" sh -c "'$BUILDDIR/wabridge' messages --volume '$VOLUME' --json | jq -es 'length >= 8'"
check "every log line is JSON" sh -c "jq -es 'length > 10' '$WORK/bridge.log'"
check "no message text in the log" sh -c "! grep -q 'are you there' '$WORK/bridge.log'"
kill -TERM "$BRIDGE_PID"
status=0
wait "$BRIDGE_PID" || status=$?
BRIDGE_PID=
equal "SIGTERM ends with exit 0" 0 $status

# With a long heartbeat nothing but the signal itself can wake the loop.
HEARTBEAT_MS=600000 write_config
start_bridge
wait_for 15 connected
kill -TERM "$BRIDGE_PID"
gone() { ! kill -0 "$BRIDGE_PID"; }
check "SIGTERM does not wait for the heartbeat" wait_for 5 gone

summary
