#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The phone's history: what it tells is used, its messages are recorded only when asked for, never answered; SIGKILL while
# it is fetched and while it is recorded; what is damaged, gone, too large or a bomb; live messages go first.
. "$(dirname "$0")/lib.sh"

ANN=4915100000002
BOB=4915100000003
MANY=${MANY:-3000}

start_sim
write_config
cp "$WORK/wabridge.yaml" "$WORK/rest.yaml"
days() { { cat "$WORK/rest.yaml"; printf 'history:\n  days: %s\n' "$1"; } >"$WORK/wabridge.yaml"; }
reload() { rm -f "$VOLUME/control/ack/reload.json"; touch "$VOLUME/control/reload"; wait_for 10 test -e "$VOLUME/control/ack/reload.json"; }
account $PHONE Shop
account $ANN Ann
account $BOB Bob

history() { # JSON of the part; the id of its notification
    post "/accounts/$PHONE/history" "$1" | jq -r .id
}
receipts() { get "/accounts/$PHONE/receipts" | jq -r --arg id "$1" '[.receipts[] | select(.id == $id) | .type] | sort | join(" ")'; }
receipted() { [ "$(receipts "$1")" = "hist_sync peer_msg" ]; }
waiting() { sqlite3 "file:$PRIVATE/keys.db?mode=ro" "select count(*) from history where key not like 'index%'"; }
none_waits() { [ "$(waiting)" = 0 ]; }
kept() { rows "select count(*) from messages where history = 1"; }
count_is() { [ "$(kept)" = "$1" ]; }
given_up() { state_is .counters.history_given_up "$1"; }
answers() { arrived "$1" $PHONE | jq '.messages | length'; }

# ---- by default: used, not recorded -----------------------------------------------------------------
start_bridge
check "linked" eval 'scan && wait_for 15 connected'
check "what the phone tells at first is read" wait_for 10 none_waits
id=$(history "$(jq -cn --arg ann $ANN --arg bob $BOB '{type:3, salt:"salt of the account", chats:[
    {phone:$ann, expiration:604800, token:"token of Ann", messages:[{id:"OLD1", text:"open on Sunday?"}]},
    {phone:$bob, pn:true, count:5}]}')")
check "a part on the media host gets both receipts" wait_for 10 receipted "$id"
check "… and is fetched and read" wait_for 10 none_waits
check "… which the log tells" wait_for 5 grep -q '"history_read"' "$WORK/bridge.log"
equal "no message of it is recorded" 0 "$(kept)"
equal "nothing at all is" 0 "$(rows 'select count(*) from messages')"
equal "the timer of a chat is known" 604800 "$(rows 'select expiration_s from chats')"
equal "a token is kept" 1 "$(sqlite3 "file:$PRIVATE/keys.db?mode=ro" "select count(*) from privacy_token where instr(value, 'token of Ann')")"
equal "… and the salt" 1 "$(sqlite3 "file:$PRIVATE/keys.db?mode=ro" "select count(*) from app_state where key = 'nct_salt'")"
lid=$(get /accounts | jq -r --arg p $BOB '.accounts[] | select(.phone == $p) | .lid | split("@")[0]')
equal "the LID of a contact is known" "$lid" "$(sqlite3 "file:$PRIVATE/keys.db?mode=ro" "select value from lid_of_pn where key = '$BOB'")"
id=$(history '{"type":2,"chats":[]}')
check "the full history gets both receipts" wait_for 10 receipted "$id"
check "… and is not fetched" wait_for 5 none_waits
say $ANN $PHONE "when open?" >/dev/null
check "an answer goes out under the timer" wait_for 10 eval '[ "$(arrived $ANN $PHONE | jq ".messages[0].expiration")" = 604800 ]'

# ---- recorded when asked for --------------------------------------------------------------------------
days 30
check "reloaded" reload
live=$(rows "select wa_id from messages where text = 'when open?'")
before=$(rows 'select received, last_message_at from totals')
id=$(history "$(jq -cn --arg ann $ANN --arg bob $BOB --arg live "$live" '{type:3, chats:[
    {phone:$ann, messages:[{id:$live, text:"when open?", age_s:1}, {id:"H1", text:"are you open?", age_s:90000},
        {id:"H2", text:"yes", from_me:true, age_s:80000}, {id:"H3", text:"long ago", age_s:2700000}]},
    {phone:$bob, pn:true, messages:[{id:"H4", text:"price?", age_s:70000}]}]}')")
check "with days, its messages are recorded" wait_for 10 count_is 3
check "… and the part is through" wait_for 10 none_waits
equal "what is older than the days is not" "" "$(rows "select id from messages where text = 'long ago'")"
equal "a message that came live stays one live row" "1|0" "$(rows "select count(*), max(history) from messages where wa_id = '$live'")"
equal "what the owner wrote says so" "IN|1|received" "$(rows "select direction, from_me, status from messages where wa_id = 'H2'")"
equal "both addresses of a chat are known" "$BOB@s.whatsapp.net|$lid@lid" "$(rows "select chat_pn, chat_lid from messages where wa_id = 'H4'")"
equal "the name stands with it" Bob "$(rows "select sender_name from messages where wa_id = 'H4'")"
equal "received_at is when it was sent" 1 "$(rows "select received_at = sent_at from messages where wa_id = 'H1'")"
equal "none is answered" 0 "$(rows "select count(*) from messages a join messages q on a.reply_to = q.id where q.history = 1")"
equal "none is counted" "$before" "$(rows 'select received, last_message_at from totals')"
check "but as history" wait_for 5 state_is .counters.history_recorded 3
same() { history "$(jq -cn --arg ann $ANN '{type:3, chats:[{phone:$ann, messages:[{id:"H1", text:"are you open?", age_s:90000}]}]}')"; }
same >/dev/null
check "the same again" wait_for 10 none_waits
equal "… is no second row" 3 "$(kept)"
say $BOB $PHONE "open?" >/dev/null
check "a contact with history is answered as any" wait_for 10 eval '[ "$(answers $BOB)" = 1 ]'
recent() { jq -e '[.messages[] | select(.history)] | length == 3' "$VOLUME/recent.json"; }
check "recent.json says which are history" wait_for 5 recent
within=$(history "$(jq -cn --arg ann $ANN '{type:0, within:true, chats:[{phone:$ann, messages:[{id:"W1", text:"within", age_s:60000}]}]}')")
check "what comes within the notification is recorded, too" wait_for 10 count_is 4
check "… and receipted" receipted "$within"

# ---- live messages go first; SIGKILL while it is recorded --------------------------------------------
history "$(jq -cn --arg bob $BOB --argjson n "$MANY" '{type:3, chats:[{phone:$bob, pn:true, prefix:"many", count:$n}]}')" >/dev/null
some() { [ "$(rows "select count(*) from messages where wa_id like 'many %'")" -ge "${1:-1}" ]; }
check "a large part begins to be recorded" wait_for 10 some
say $ANN $PHONE "open now?" >/dev/null
check "a live message is answered" wait_for 10 eval '[ "$(answers $ANN)" = 2 ]'
first=$(rows "select count(*) from messages where wa_id like 'many %' and id < (select max(id) from messages where direction = 'OUT')")
check "… before all of it is recorded ($first of $MANY were)" [ "$first" -lt "$MANY" ]
kill -9 "$BRIDGE_PID"
wait "$BRIDGE_PID" 2>/dev/null
some "$MANY" && cut=no || cut=yes
check "killed in the middle (or it was faster: $cut)" test -n "$cut"
start_bridge
check "after the start it is whole" wait_for 30 some "$MANY"
check "… and through" wait_for 20 none_waits
equal "each message is one row" "$MANY" "$(rows "select count(distinct wa_id) from messages where wa_id like 'many %'")"
equal "… not more" "$MANY" "$(rows "select count(*) from messages where wa_id like 'many %'")"
found() { "$BUILDDIR/wabridge" messages --volume "$VOLUME" --json --search "many" --limit 5 | jq -es 'length == 5'; }
check "they can be searched" wait_for 10 found

# ---- SIGKILL while it is fetched -------------------------------------------------------------------
check "connected" wait_for 15 connected
id=$(history "$(jq -cn --arg ann $ANN '{type:3, fault:"stalled", chats:[{phone:$ann, messages:[{id:"K1", text:"killed", age_s:50000}]}]}')")
stalled() { get '/events?after=0' | jq -e --arg id "$id" '.events[] | select(.event == "media_stalled" and .id == $id)'; }
check "a part is being fetched, and stops in the middle" wait_for 10 stalled
post /media/fault "$(jq -cn --arg id "$id" '{id:$id, fault:""}')" >/dev/null
kill -9 "$BRIDGE_PID"
wait "$BRIDGE_PID" 2>/dev/null
start_bridge
check "a part whose fetch was cut short is fetched by the next start" wait_for 20 eval '[ "$(rows "select count(*) from messages where wa_id = '"'K1'"'")" = 1 ]'
check "… and through" wait_for 10 none_waits

# ---- what is not to be had ---------------------------------------------------------------------------
given=$(state .counters.history_given_up)
chat=$(jq -cn --arg ann $ANN '[{phone:$ann, messages:[{id:"D1", text:"damaged", age_s:40000}]}]')
part() { history "$(jq -cn --argjson chats "$chat" --argjson more "$1" '{type:3, chats:$chats} + $more')"; }
id=$(part '{"fault":"corrupt"}')
check "a damaged part is given up" wait_for 10 given_up $((given + 1))
asked() { get '/events?after=0' | jq -e --arg id "$1" '.events[] | select(.event == "receipt" and .id == $id and .detail == "server-error")'; }
check "… the phone is told" wait_for 5 asked "$id"
check "… which uploads it again" wait_for 10 eval '[ "$(rows "select count(*) from messages where wa_id = '"'D1'"'")" = 1 ]'
id=$(history '{"type":3,"raw":"this is no history"}')
check "what cannot be read is given up" wait_for 10 given_up $((given + 2))
id=$(history '{"type":3,"chats":[],"length":99999999}')
check "what says that it is too long is given up" wait_for 10 given_up $((given + 3))
rss=$(awk '/VmHWM/ {print $2}' "/proc/$BRIDGE_PID/status")
id=$(history '{"type":3,"chats":[],"zeros":'"${ZEROS:-60000000}"'}')
check "what inflates a thousandfold is read to its end" wait_for 20 none_waits
more=$(($(awk '/VmHWM/ {print $2}' "/proc/$BRIDGE_PID/status") - rss))
check "… in bounded memory ($more KiB more)" [ "$more" -lt "${RSS_MORE:-20000}" ]
id=$(part '{"fault":"missing"}')
off() { [ "$(waiting)" = 1 ] && grep -q "not to be had" "$WORK/bridge.log"; }
check "a part that is missing is put off" wait_for 10 off
equal "… not given up" $((given + 3)) "$(state .counters.history_given_up)"
check "… and another one is not behind it" eval 'history "$(jq -cn --arg ann $ANN "{type:3, chats:[{phone:\$ann, messages:[{id:\"N1\", text:\"next\", age_s:30000}]}]}")" >/dev/null; wait_for 10 eval "[ \"\$(rows \"select count(*) from messages where wa_id = '"'N1'"'\")\" = 1 ]"'
check "the link holds" connected
equal "no rule of the protocol was broken" 0 "$(get '/events?after=0' | jq '[.events[] | select(.event == "violation")] | length')"
stop_bridge
equal "stopped" 0 $?
summary
