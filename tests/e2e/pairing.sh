#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Linking in all its ways, on the simulator: QRs that nobody scans, codes typed on the phone, passkeys, linking
# again, and every way back.
. "$(dirname "$0")/lib.sh"

shows_qr() { state_is .session.state QR_READY && state_is .process.pid "$BRIDGE_PID"; }
error_is() { state_is .last_error.code "$1"; }
events() { get "/events" | jq -r '.events[] | "\(.event) \(.detail // "")"'; }
count_events() { events | grep -c "^$1"; }
waits() { # SESSION-STATE
    wait_for 20 state_is .session.state "$1"
}

# ---- nobody scans ----------------------------------------------------------------------------------
start_sim --ref-seconds 1
write_config
printf 'pairing:\n  rounds: 2\n  pause_s: 2\n' >>"$WORK/wabridge.yaml"
account $PHONE "E2E Shop"
start_bridge
check "a QR is shown" wait_for 10 shows_qr
check "after the rounds the bridge pauses and says so" wait_for 20 error_is pairing_paused
equal "no QR is named while it pauses" "QR_PENDING NONE " "$(state .status) $(state .session.state) $(state .qr.png)"
check "the QR files are gone" wait_for 5 eval '[ ! -e "$VOLUME/qr.png" ]'
equal "it says when the next one comes" true "$(jq '.reconnect.next_at != null' "$VOLUME/state.json")"
equal "so many connections were made as rounds are configured" 2 "$(count_events pairing)"
check "health is fine with it" "$BUILDDIR/wabridge" health --volume "$VOLUME"
check "after the pause one more round comes by itself" wait_for 10 shows_qr
check "and another pause" waits NONE
check "control/pair shows a QR at once" eval 'ctl pair && wait_for 1 shows_qr'
check "scanned then, it is linked" eval 'wait_for 5 scan && wait_for 15 connected'
stop_bridge
kill "$SIM_PID"
wait "$SIM_PID" 2>/dev/null
rm -f "$WORK/sim.json"

# ---- a code typed on the phone ---------------------------------------------------------------------
start_sim
write_config
has_code() { [ -n "$(state .pairing_code)" ]; }
no_code() { [ -z "$(state .pairing_code)" ]; }
type_code() { post "/accounts/$PHONE/link_code" "{\"code\":\"$1\"}" >/dev/null; }
refuse_code() { post /faults "{\"target\":\"next_connection\",\"kind\":\"link_code_refused\",\"code\":\"$1\"}" >/dev/null; }

refuse_code 429
new_tenant 4915100000010 "By code"
check "ctl pair --phone is answered" ctl pair --phone $PHONE
check "a refusal of the server is told" wait_for 10 error_is pairing_code_refused
check "with its number and what to do" eval 'state .last_error.message | grep -q "429.*[Ww]ait"'
check "asked again, a code is shown" eval 'ctl pair --phone $PHONE && wait_for 10 has_code'
check "it is XXXX-XXXX" eval 'state .pairing_code | grep -Eq "^[1-9A-HJ-NP-TV-Z]{4}-[1-9A-HJ-NP-TV-Z]{4}$"'
check "status says what to do" eval '"$BUILDDIR/wabridge" status --volume "$VOLUME" | grep -q "$(state .pairing_code)"'
first=$(state .pairing_code)
check "the server may want another code" post "/accounts/$PHONE/refresh_code" '{}'
check "then another one is shown" wait_for 10 eval 'has_code && [ "$(state .pairing_code)" != "$first" ]'
check "a wrong code can be typed" type_code 1111-1111
check "and the phone finds it out" wait_for 10 eval '[ "$(count_events link_code_wrong)" = 1 ]'
check "the right one still links" eval 'type_code "$(state .pairing_code)" && wait_for 15 connected'
check "the code is gone then" no_code
check "asked when linked, it is refused" eval '! ctl pair --phone $PHONE 2>"$WORK/ctl.err" && grep -q "is linked" "$WORK/ctl.err"'
refuse_code 452
new_tenant 4915100000011 "No codes"
ctl pair --phone $PHONE >/dev/null
check "452: the owner is sent to the QR" wait_for 10 eval 'state .last_error.message | grep -q "QR"'
check "no number is no number" eval '! ctl pair --phone 0123 2>/dev/null'
check "the QR links as before" eval 'wait_for 5 scan && wait_for 15 connected'

# asked before there is any QR: the wish is kept
new_tenant 4915100000012 "Early bird"
stop_bridge
PHONE=4915100000012
rm -rf "$VOLUME" "$PRIVATE"
mkdir -p "$VOLUME" "$PRIVATE"
post /faults '{"target":"next_connection","kind":"close"}' >/dev/null
start_bridge
check "asked while no QR is shown, a code follows" eval 'wait_for 10 test -d "$VOLUME/control/ack" && ctl pair --phone $PHONE && wait_for 15 has_code'

# ---- a passkey -------------------------------------------------------------------------------------
gate() { post "/accounts/$PHONE/passkey" "$1" >/dev/null; }
phase_is() { [ "$(jq -r .phase "$VOLUME/passkey.json" 2>/dev/null)" = "$1" ]; }
# respond ACTION [JQ]: the portal's answer; its ack is in $WORK/ack.json
respond() {
    local id=portal-$RANDOM$RANDOM
    jq -n --arg id "$id" --arg action "$1" --arg request "$(jq -r .request_id "$VOLUME/passkey.json")" \
        --slurpfile c "${2:-/dev/null}" \
        '{v:1,id:$id,request_id:$request,action:$action} + ($c[0] // {})' >"$VOLUME/control/.answer"
    mv "$VOLUME/control/.answer" "$VOLUME/control/passkey-response.json"
    wait_for 10 test -s "$VOLUME/control/ack/$id.json" && cp "$VOLUME/control/ack/$id.json" "$WORK/ack.json"
}
acked() { [ "$(jq -r '.result + " " + (.error // "")' "$WORK/ack.json")" = "$1" ]; }
# The owner's browser uses the passkey.
use_passkey() { # [ORIGIN]
    jq -c --arg origin "${1:-https://web.whatsapp.com}" '{public_key,origin:$origin}' "$VOLUME/passkey.json" |
        curl -sS --fail-with-body -m 10 -d @- "$CONTROL/accounts/$PHONE/assert" >"$WORK/credential.json"
}
scan_gated() { wait_for 10 scan && grep -q passkey "$WORK/scan.json" && waits PASSKEY_REQUIRED; }

new_tenant 4915100000020 "Passkey"
gate '{"gate":true}'
check "after the scan a passkey is wanted" scan_gated
equal "status is QR_PENDING" QR_PENDING "$(state .status)"
check "the QR is gone" wait_for 5 eval '[ ! -e "$VOLUME/qr.png" ] && [ -z "$(state .qr.png)" ]'
equal "passkey.json is private" 640 "$(stat -c %a "$VOLUME/passkey.json")"
check "it has the challenge as it came" eval 'jq -e ".public_key.rpId == \"whatsapp.com\" and .public_key.extensions.uvm" "$VOLUME/passkey.json"'
check "status says what to do" eval '"$BUILDDIR/wabridge" status --volume "$VOLUME" | grep -qi passkey'
use_passkey https://portal.example
respond assert "$WORK/credential.json"
check "used on another site it is refused by name" acked "refused origin_mismatch"
check "the file says it, too" wait_for 5 eval '[ "$(jq -r .last_error.code "$VOLUME/passkey.json")" = origin_mismatch ]'
printf '{"v":1,"request_id":"x","action":"assert"' >"$VOLUME/control/passkey-response.json"
check "half a file is malformed" wait_for 10 eval '[ "$(ack_of passkey-response .error)" = response_malformed ]'
printf '{"v":1,"request_id":"x","action":"cancel"}' >"$VOLUME/control/passkey-response.json"
check "another request is stale" wait_for 10 eval '[ "$(ack_of passkey-response .error)" = response_stale ]'
use_passkey
respond assert "$WORK/credential.json"
check "used right it is taken" acked "done "
check "and the device is linked" wait_for 15 connected
check "passkey.json is gone" wait_for 5 eval '[ ! -e "$VOLUME/passkey.json" ]'
check "the phone and the bridge had the proof" eval 'events | grep -q "^passkey_accepted proof"'
check "nothing of it is in the log" eval '! grep -qE "$(jq -r .credential.response.signature "$WORK/credential.json")|$(jq -r .credential.rawId "$WORK/credential.json")" "$WORK/bridge.log"'
equal "nothing was refused by the server" 0 "$(count_events passkey_refused)"
account 4915100000099 Ann
say 4915100000099 $PHONE "When do you open?" >/dev/null
check "it answers" wait_for 15 eval 'arrived 4915100000099 $PHONE | grep -q "9 to 17"'

new_tenant 4915100000021 "Passkey by code"
gate '{"gate":true,"no_options":true}'
check "a typed code leads to the passkey as well, and the challenge is fetched" eval \
    'ctl pair --phone $PHONE && wait_for 10 has_code && type_code "$(state .pairing_code)" && waits PASSKEY_REQUIRED'
check "ctl passkey shows what the browser wants" eval 'ctl passkey | grep -q "parseRequestOptionsFromJSON({.*challenge.*})"'
check "and with --json the file" eval 'ctl passkey --json | cmp -s - "$VOLUME/passkey.json"'
check "what is no credential is not handed in" eval '! echo "[]" | ctl passkey assert 2>"$WORK/ctl.err" && grep -q "no credential" "$WORK/ctl.err"'
check "nor is a code that nobody waits for" eval '! ctl passkey confirm 1111-1111 2>"$WORK/ctl.err" && grep -q "refused" "$WORK/ctl.err"'
use_passkey
check "what the browser gave is" eval 'jq -c .credential "$WORK/credential.json" | ctl passkey assert'
check "and it links" wait_for 15 connected
check "then no passkey is asked for" eval '! ctl passkey 2>"$WORK/ctl.err" && grep -q "no passkey is asked for" "$WORK/ctl.err"'

new_tenant 4915100000022 "Passkey troubles"
gate '{"gate":true,"refuse":"400"}'
scan_gated && use_passkey && respond assert "$WORK/credential.json"
check "a refused prologue is told" wait_for 10 error_is prologue_refused
check "and a new QR follows" wait_for 10 shows_qr
gate '{"gate":true,"bad_continuation":true}'
scan_gated && use_passkey && respond assert "$WORK/credential.json"
check "a malformed answer of the phone is told" wait_for 10 error_is phone_invalid
check "and a new QR follows again" wait_for 10 shows_qr
gate '{"gate":true,"no_continuation":true}'
scan_gated && use_passkey && respond assert "$WORK/credential.json"
check "the phone is waited for" wait_for 10 phase_is await_phone
respond cancel
check "the owner may break off" acked "done "
check "after the third failure no QR is shown" eval 'waits NONE && error_is user_cancelled'
equal "nothing is dialled any more" null "$(jq -c .reconnect.next_at "$VOLUME/state.json")"
gate '{"gate":true}'
check "control/pair begins anew" eval 'ctl pair && wait_for 10 shows_qr'
scan_gated && use_passkey && respond assert "$WORK/credential.json"
check "and then it links" wait_for 15 connected

new_tenant 4915100000023 "Passkey lost"
gate '{"gate":true}'
scan_gated
kill -KILL "$BRIDGE_PID"
wait "$BRIDGE_PID" 2>/dev/null
check "a killed bridge leaves passkey.json" test -e "$VOLUME/passkey.json"
start_bridge
check "the next one removes it and shows a QR" eval 'wait_for 10 shows_qr && wait_for 5 eval "[ ! -e \"\$VOLUME/passkey.json\" ]"'
stop_bridge

# ---- linking again ---------------------------------------------------------------------------------
texts() { rows "select count(*) from messages where text like '$1'"; }
id_of() { state .account.pn | cut -d@ -f1; }
ANN=4915100000099
new_tenant 4915100000030 "First shop"
scan && wait_for 15 connected
say $ANN $PHONE "When do you open, first shop?" >/dev/null
check "a customer is answered" wait_for 15 eval 'arrived $ANN $PHONE | grep -q "9 to 17"'
identity() { sqlite3 "file:$PRIVATE/keys.db?mode=ro" "select hex(value) from device where key='identity_public'"; }
old=$(identity)
check "logout is acknowledged" ctl logout
check "the state is LOGGED_OUT, and stays so" eval 'waits LOGGED_OUT && [ -z "$(state .account.pn)" ]'
check "the phone has no such device any more" eval '[ "$(get /accounts | jq "[.accounts[]|select(.phone==\"$PHONE\")|.devices[]]|length")" = 1 ]'
check "logged out already: the keys are deleted, done" ctl logout
ctl pair >/dev/null
check "the same account is linked again" eval 'wait_for 10 shows_qr && scan && wait_for 15 connected'
check "with other keys" [ "$old" != "$(identity)" ]
check "the log was kept" [ "$(texts '%first shop%')" -ge 1 ]
say $ANN $PHONE "Are you open again?" >/dev/null
check "and it answers" wait_for 15 eval '[ "$(arrived $ANN $PHONE | jq "[.messages[]|select(.text|test(\"9 to 17\"))]|length")" = 2 ]'
check "unlinked on the phone while online" post "/accounts/$PHONE/unlink" '{"device":2}'
check "that is LOGGED_OUT, too" waits LOGGED_OUT
ctl pair >/dev/null
wait_for 10 shows_qr && scan && wait_for 15 connected

# What waits when another account is linked: a reply and a message of the portal.
stop_bridge
waiting() { # COLUMNS VALUES
    echo "insert into messages(wa_id, direction, from_me, chat, sender, kind, text, status, received_at$1)
        values('W$RANDOM$RANDOM', 'OUT', 1, '$ANN@s.whatsapp.net', '$PHONE@s.whatsapp.net', 'text', 'of the first shop',
        'queued', cast(strftime('%s','now') as integer) * 1000$2);"
}
sqlite3 -cmd '.timeout 5000' "$VOLUME/messages.db" "$(waiting ', turn' ', 1') $(waiting ', outbox_name, target, held, due_at' ", 'waits', '$ANN@s.whatsapp.net', 1, 1")"
post "/accounts/$PHONE/unlink" '{"device":3}' >/dev/null
start_bridge
check "unlinked on the phone while offline: LOGGED_OUT at the next login" waits LOGGED_OUT
account 4915100000031 "Second shop"
ctl pair >/dev/null
wait_for 10 shows_qr
PHONE=4915100000031
scan
check "another account is linked on the same volume" eval 'wait_for 15 connected && [ "$(id_of)" = 4915100000031 ]'
check "the log of the first is still there" [ "$(texts '%first shop%')" -ge 1 ]
say $ANN $PHONE "And you?" >/dev/null
check "it answers as the second" wait_for 15 eval 'arrived $ANN $PHONE | grep -q "You wrote: And you?"'
equal "its reply was dropped, its message of the portal failed" "dropped account_changed failed account_changed" \
    "$(rows "select status || ' ' || error from messages where text = 'of the first shop' order by id" | xargs)"
check "the portal is told" wait_for 5 grep -q account_changed "$VOLUME/outbox/failed/waits.json"
equal "nothing that waited for the first went out" 0 "$(arrived $ANN $PHONE | grep -c 'first shop')"

# ---- twice -----------------------------------------------------------------------------------------
V2="$WORK/volume2" P2="$WORK/private2"
state2() { jq -r "$1 // \"\"" "$V2/state.json" 2>/dev/null; }
second() { VOLUME_PATH=$V2 SESSIONS_PATH=$P2 "$BUILDDIR/wabridge" run -c "$WORK/wabridge.yaml" >>"$WORK/bridge2.out" 2>>"$WORK/bridge2.log" & SECOND=$!; }
end_second() { kill "$SECOND" && wait "$SECOND" 2>/dev/null; }
mkdir -p "$V2" "$P2"
second
check "a second bridge of the same account is linked" eval 'wait_for 10 test -s "$V2/qr.txt" &&
    post "/accounts/$PHONE/scan" "$(jq -Rs "{qr: rtrimstr(\"\n\")}" <"$V2/qr.txt")" >/dev/null &&
    wait_for 15 eval "[ \"\$(state2 .session.state)\" = CONNECTED ]"'
check "the first is not disturbed" connected
say $ANN $PHONE "Both of you?" >/dev/null
check "both record what comes" wait_for 15 eval '[ "$(texts "Both of you?")" = 1 ] &&
    [ "$(sqlite3 "file:$V2/messages.db?mode=ro" "select count(*) from messages where direction = '"'IN'"' and text = '"'Both of you?'"'")" = 1 ]'
end_second
rm -rf "$V2" "$P2"
mkdir -p "$V2"
cp -r "$PRIVATE" "$P2"
second
check "the same keys twice: the older connection is REPLACED" waits REPLACED
check "and says what to do" eval 'state .last_error.message | grep -q "stop one of the two"'
end_second
check "with the other one stopped, reload connects again" eval 'ctl reload && wait_for 15 connected'
stop_bridge

summary
