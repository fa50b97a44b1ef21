#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Notifications, calls and info broadcasts as the server sends them: each is acknowledged, and what it should do is done;
# spoiled stanzas are acknowledged, counted and logged once.
. "$(dirname "$0")/lib.sh"

ANN=4915200000001
start_sim
write_config
sed -i 's/^replies:/&\n  call_text: "Please write, we cannot take calls."/' "$WORK/wabridge.yaml"
account $PHONE Shop
account $ANN Ann
start_bridge
check "linked" eval 'scan && wait_for 15 connected'
DIALS=$(get /stats | jq .connections_total)

say_stanza() { # STANZA [raw]: prints its id
    post "/accounts/$PHONE/stanza" "$(jq -cn --arg s "$1" --argjson raw "${2:-false}" '{device:1,stanza:$s,raw:$raw}')" | jq -r .id
}
queued() { get /accounts | jq ".accounts[] | select(.phone==\"$PHONE\") | .devices[] | select(.id==1) | .queued"; }
taken_over() { [ "$(queued)" = 0 ]; }
acked() { # NAME STANZA
    say_stanza "$2" >/dev/null
    check "$1 is acknowledged" wait_for 10 taken_over
}
happened() { get "/events?after=0" | jq -e --arg e "$1" '[.events[] | select(.event==$e)] | length > 0'; }
JID="$ANN@s.whatsapp.net"
LID=$(get /accounts | jq -r ".accounts[] | select(.phone==\"$ANN\") | .lid")
notice() { acked "$1" "<notification type=\"$1\" from=\"${3:-$JID}\" t=\"1780000000\">$2</notification>"; }

# ---- every type ---------------------------------------------------------------------------------------
BEFORE=$(get '/events?after=0' | jq '[.events[] | select(.event=="prekeys_uploaded")] | length')
notice encrypt '<count value="3"/>' s.whatsapp.net
uploaded() { [ "$(get '/events?after=0' | jq '[.events[] | select(.event=="prekeys_uploaded")] | length')" -gt "$BEFORE" ]; }
check "… and few keys left make an upload" wait_for 10 uploaded
notice encrypt '<digest/>' s.whatsapp.net
notice encrypt '<identity/>'
equal "… and that a contact has new keys is in the history" "notice identity_changed $JID" \
    "$("$BUILDDIR/wabridge" events --json --volume "$VOLUME" | jq -r 'select(.chat) | "\(.kind) \(.code) \(.chat)"')"
notice devices "<add device_hash=\"2:x\"><device jid=\"$ANN:7@s.whatsapp.net\"/><key-index-list ts=\"1780000000\"/></add>"
notice devices "<update device_hash=\"2:x\"/>"
notice devices "<remove device_hash=\"2:x\"><device jid=\"$ANN:7@s.whatsapp.net\"/></remove>"
notice account_sync "<devices dhash=\"2:x\"><device jid=\"$PHONE@s.whatsapp.net\"/></devices>" "$PHONE@s.whatsapp.net"
notice account_sync '<privacy/>' "$PHONE@s.whatsapp.net"
notice server_sync '<collection name="regular" version="7"/>' s.whatsapp.net
for kind in create add remove leave promote demote modify subject description announcement locked ephemeral delete; do
    notice w:gp2 "<$kind><participant jid=\"$JID\" lid=\"$LID\"/></$kind>" 120363000000000001@g.us
done
notice privacy_token "<tokens><token jid=\"$JID\" t=\"1780000000\" type=\"trusted_contact\">&#x01;&#x02;</token></tokens>"
notice contacts "<modify old=\"$JID\" new=\"4915299999999@s.whatsapp.net\"/>"
for kind in business companion_reg_refresh crsc_continuation digital_commerce_subscription disappearing_mode fb:update \
    hosted mediaretry newsletter pay picture psa registration server status w:growth waffle of_tomorrow; do
    notice $kind '<thing/>'
done

# ---- limits -------------------------------------------------------------------------------------------
mex() { notice mex "<update op_name=\"x\">$1</update>" s.whatsapp.net; }
soon=$(($(date +%s) + 3600))
mex "{&quot;data&quot;:{&quot;xwa2_notify_account_reachout_timelock&quot;:{&quot;is_active&quot;:true,&quot;time_enforcement_ends&quot;:&quot;$soon&quot;}}}"
check "nobody new may be written to: state.json says so, and until when" wait_for 10 state_is .limit.kind new_chats_locked
check "… and so does last_error" state_is .last_error.code new_chats_locked
equal "… until the named time" "$soon" "$(date -d "$(state .limit.until)" +%s)"
jq -cn --arg to "$ANN" '{to:$to,text:"An offer"}' >"$VOLUME/outbox/new/.offer"
mv "$VOLUME/outbox/new/.offer" "$VOLUME/outbox/new/offer.json"
waits() { [ "$(rows "select count(*) from messages where outbox_name is not null and status='queued'")" = 1 ]; }
check "a message of the outbox is taken, and waits" wait_for 10 waits
say $ANN $PHONE "when do you open?" >/dev/null
answered() { [ "$(arrived $ANN $PHONE | jq '.messages | length')" = "$1" ]; }
check "… while an answer goes out" wait_for 10 answered 1
kill -KILL "$BRIDGE_PID"
wait "$BRIDGE_PID" 2>/dev/null
start_bridge
wait_for 10 connected
check "a restart does not forget it" eval 'state_is .limit.kind new_chats_locked && waits'
DIALS=$(get /stats | jq .connections_total)
mex "{&quot;data&quot;:{&quot;xwa2_notify_account_reachout_timelock&quot;:{&quot;is_active&quot;:false}}}"
check "when it is over the message goes out" wait_for 10 answered 2
check "… and state.json has no limit" wait_for 5 state_is .limit ""

# ---- calls ----------------------------------------------------------------------------------------------
offer() { acked "$1" "<call from=\"$JID\" t=\"$(date +%s)\"><$2 call-id=\"$3\" call-creator=\"$JID\"/></call>"; }
offer "a call" offer CALL1
check "… and answered in writing" wait_for 10 answered 3
offer "the same call once more" offer_notice CALL1
offer "the end of a call" terminate CALL1
offer "another call" offer CALL2
check "… and answered too" wait_for 10 answered 4
equal "one row for each call" 2 "$(rows "select count(*) from messages where kind='call'")"

# ---- info broadcasts, presence ----------------------------------------------------------------------------
for child in '<dirty type="groups" timestamp="1"/>' '<thread_metadata/>' '<downgrade_webclient/>' '<tos/>' '<of_tomorrow/>'; do
    say_stanza "<ib from=\"s.whatsapp.net\">$child</ib>" >/dev/null
done
check "a phone that is too old is said to be one" wait_for 5 state_is .last_error.code phone_too_old
say_stanza "<presence from=\"$JID\" type=\"unavailable\" last=\"deny\"/>" >/dev/null
say_stanza "<chatstate from=\"$JID\"><composing/></chatstate>" >/dev/null
equal "nothing was odd until now" 0 "$(state .counters.malformed)"

# ---- spoiled --------------------------------------------------------------------------------------------
acked "a receipt whose time is none" "<receipt from=\"$JID\" type=\"read\" t=\"yesterday\"/>"
acked "a notification whose sender is none" '<notification type="devices" from="nobody at all"><remove/></notification>'
acked "a call of nobody" '<call t="x"><offer/></call>'
for stanza in '<message/>' '<receipt/>' '<notification/>' '<call/>' "<message from=\"$JID\"/>"; do
    say_stanza "$stanza" true >/dev/null
done
odd() { [ "$(state .counters.malformed)" -ge 8 ]; }
check "what cannot be acknowledged is counted" wait_for 10 odd
equal "… and logged once" 1 "$(grep -c stanza_malformed "$WORK/bridge.log")"
equal "all of it on one connection" "$DIALS" "$(get /stats | jq .connections_total)"
equal "… and the simulator saw no violation" 0 "$(get '/events?after=0' | jq '[.events[] | select(.event=="violation")] | length')"
summary
