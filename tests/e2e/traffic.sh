#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What happens to a linked device over the years: refusals of every kind, requests to send again, a device that is
# linked in the middle of a conversation, prekeys that run out, are refused, and grow old.
. "$(dirname "$0")/lib.sh"

ANN=4915100000002 BOB=4915100000003 CARL=4915100000004 DORA=4915100000005
NEW=$VOLUME/outbox/new
PEER_PID=
trap 'finish; [ -z "$PEER_PID" ] || kill "$PEER_PID" 2>/dev/null' EXIT

start_sim
write_config
printf 'outbox:\n  max_per_minute: 0\n' >>"$WORK/wabridge.yaml"
account $PHONE Shop
for who in $ANN $BOB $CARL $DORA; do account $who "Contact $who"; done
start_bridge
check "linked" eval 'scan && wait_for 15 connected'

fault() { post /faults "{\"target\":\"$1\",\"kind\":\"$2\"${3:-}}" >/dev/null; } # TARGET KIND [EXTRA]
replied() { arrived "$1" $PHONE | jq -e --arg t "$2" 'any(.messages[]; .text == $t)'; }
times_replied() { arrived "$1" $PHONE | jq --arg t "$2" '[.messages[] | select(.text == $t)] | length'; }
drop() { # NAME TO TEXT: as a portal does it
    printf '{"to":"%s","text":"%s"}' "$2" "$3" >"$NEW/.$1.json" && mv "$NEW/.$1.json" "$NEW/$1.json"
}
outcome() { rows "select status || ' ' || coalesce(error, '') from messages where outbox_name='$1'"; }
outcome_is() { outcome "$1" | grep -Eq "$2"; }
events() { get "/events?after=0" | jq --arg e "$1" --arg d "${2:-}" '[.events[] | select(.event == $e and ($d == "" or .detail == $d))] | length'; }
events_are() { [ "$(events "$1" "${3:-}")" -ge "$2" ]; } # EVENT N [DETAIL]

# ---- refusals of the server ------------------------------------------------------------------------
for code in 503 500 408; do
    fault $PHONE:1 ack_error ",\"code\":\"$code\""
    say $ANN $PHONE "busy $code" >/dev/null
done
for code in 503 500 408; do
    check "error $code: the same message goes out again" wait_for 30 replied $ANN "You wrote: busy $code"
    equal "… and arrives once" 1 "$(times_replied $ANN "You wrote: busy $code")"
done
for code in 403 404 406 479 487; do
    fault $PHONE:1 ack_error ",\"code\":\"$code\""
    drop "e$code" $BOB "refused with $code"
    check "error $code: given up, with the code and a sentence" wait_for 15 outcome_is "e$code" "^failed $code: [A-Z a-z]+"
done
fault $PHONE:1 ack_error ',"code":"400"'
drop e400 $BOB "once more"
check "error 400: sent once more under the other address" wait_for 15 replied $BOB "once more"
for code in 463 475; do
    fault $PHONE:1 ack_error ",\"code\":\"$code\""
    drop "e$code" $CARL "to a stranger"
    check "error $code: given up at once" wait_for 15 outcome_is "e$code" "^failed $code: "
    drop "r$code" $CARL "and again"
    check "… and nothing more is sent there" wait_for 15 outcome_is "r$code" "^dropped restricted"
    say $CARL $PHONE "hello $code" >/dev/null
    check "… until the contact writes, who is answered" wait_for 15 replied $CARL "You wrote: hello $code"
    drop "w$code" $CARL "welcome $code"
    check "… and then may be written to" wait_for 15 replied $CARL "welcome $code"
done

# ---- no answer of the server ----------------------------------------------------------------------------
fault $PHONE:1 drop_acks
say $ANN $PHONE "was it sent?" >/dev/null
check "a message whose ack is lost arrives" wait_for 15 replied $ANN "You wrote: was it sent?"
fault $PHONE:1 close
sent_all() { [ "$(rows "select count(*) from messages where status in ('queued', 'sending')")" = 0 ]; }
check "… is sent again after the connection broke" wait_for 20 sent_all
ids() { arrived $ANN $PHONE | jq -r '[.messages[] | select(.text == "You wrote: was it sent?") | .id] | unique | length'; }
equal "… under the same id" 1 "$(ids)"

# ---- a contact that cannot read ------------------------------------------------------------------------------
wait_for 15 connected
fault $ANN corrupt_next_message
say $ANN $PHONE "can I read it?" >/dev/null
check "what a contact cannot read is sent again" wait_for 15 replied $ANN "You wrote: can I read it?"
check "… because it asked" wait_for 5 grep -q '"event":"message_again"' "$WORK/bridge.log"

# ---- a device linked in the middle of a conversation ------------------------------------------------------------
PEER="$WORK/peer"
mkdir -p "$PEER/volume" "$PEER/private"
sed "s#$VOLUME#$PEER/volume#; s#$PRIVATE#$PEER/private#; s#^replies:#replies:\n  enabled: false#" "$WORK/wabridge.yaml" >"$PEER/wabridge.yaml"
say $DORA $PHONE "first" >/dev/null
check "a conversation begins" wait_for 15 replied $DORA "You wrote: first"
"$BUILDDIR/wabridge" run -c "$PEER/wabridge.yaml" >>"$PEER/out" 2>>"$PEER/log" &
PEER_PID=$!
peer_scan() {
    wait_for 15 test -s "$PEER/volume/qr.png" &&
        post "/accounts/$DORA/scan" "$(jq -cn --arg qr "$(zbarimg --nodbus --raw -q "$PEER/volume/qr.png")" '{qr:$qr}')"
}
check "the contact links a device" peer_scan
peer_connected() { [ "$(jq -r .session.state "$PEER/volume/state.json")" = CONNECTED ]; }
wait_for 15 peer_connected
say $DORA $PHONE "second" >/dev/null
check "the conversation goes on" wait_for 15 replied $DORA "You wrote: second"
peer_rows() { sqlite3 -cmd '.timeout 5000' "file:$PEER/volume/messages.db?mode=ro" "$1"; }
peer_read() { [ "$(peer_rows "select count(*) from messages where text = 'You wrote: second' and not from_me")" = 1 ]; }
check "… and the new device gets the answer, too" wait_for 15 peer_read
check "… as well as what its own phone wrote" eval '[ "$(peer_rows "select count(*) from messages where text = '"'second'"' and from_me")" = 1 ]'
kill "$PEER_PID" && wait "$PEER_PID" 2>/dev/null
PEER_PID=
post "/accounts/$DORA/unlink" '{"device":1}' >/dev/null
say $DORA $PHONE "third" >/dev/null
check "… until it is unlinked" wait_for 15 replied $DORA "You wrote: third"

# ---- prekeys ----------------------------------------------------------------------------------------------
before=$(events prekeys_uploaded)
fault $PHONE:1 refuse_keys ',"code":"503","count":2'
post "/accounts/$PHONE/refill" '{"count":3}' >/dev/null
post "/accounts/$PHONE/refill" '{"count":3}' >/dev/null
check "an upload that fails is sent again" wait_for 20 events_are prekeys_uploaded $((before + 1))
equal "… one at a time" $((before + 1)) "$(events prekeys_uploaded)"
equal "… and no key was left out or made twice" "$(get /accounts | jq "[.accounts[] | select(.phone == \"$PHONE\") | .devices[] | select(.id == 1) | .prekeys][0]")" \
    "$(sqlite3 "file:$PRIVATE/keys.db?mode=ro" "select count(*) from prekey")"
stop_bridge
sqlite3 "$PRIVATE/keys.db" "update device set value = x'60000000' where key = 'signed_prekey_at'"
start_bridge
wait_for 15 connected
check "an old signed prekey is renewed" wait_for 15 events_are prekey_rotated 1
say $ANN $PHONE "with the new key" >/dev/null
check "… and the conversation goes on" wait_for 15 replied $ANN "You wrote: with the new key"
EVE=4915100000009
account $EVE Eve
say $EVE $PHONE "hello" >/dev/null
check "… also with somebody new" wait_for 15 replied $EVE "You wrote: hello"

equal "no rule of the protocol was broken" 0 "$(get '/events?after=0' | jq '[.events[] | select(.event == "violation")] | length')"
equal "no message key was used twice" 0 "$(get /stats | jq .key_reuse)"
# ---- a group whose messages disappear -----------------------------------------------------------------------
GROUP=$(post /groups "{\"creator\":\"$ANN\",\"subject\":\"Short\"}" | jq -r .id)
post "/groups/$GROUP/add" "{\"phone\":\"$PHONE\"}" >/dev/null
timer() { post "/groups/$GROUP/timer" "{\"expiration\":$1}" >/dev/null; }
lasts() { arrived $ANN $PHONE | jq -e --arg t "$1" --argjson s "$2" 'any(.messages[]; .text == $t and .expiration == $s)'; }
timer 86400
drop g1 "$GROUP" "for a day"
check "the first message to a group disappears as the group says" wait_for 15 lasts "for a day" 86400
timer 0
drop g2 "$GROUP" "for good"
check "… and the next one stays, since the group says so now" wait_for 15 lasts "for good" 0

summary
