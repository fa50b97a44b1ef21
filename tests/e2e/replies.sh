#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The replies, end to end: a shipped template in two languages, menus, hand-over that survives kill -9,
# release, business hours, broken templates, try-reply.
. "$(dirname "$0")/lib.sh"

ANN=4915100000002 JUMA=4915100000003 EVE=4915100000004
CONFIG="$WORK/wabridge.yaml"

write_healthcare() {
    cat >"$WORK/own.yaml" <<'YAML'
variables:
  emergency_number: "999"
  address: 12 Market Street
YAML
    write_config
    sed -i "s|^  file: .*|  type: healthcare\n  file: $WORK/own.yaml\n  directory: $TOP/conf/replies|" "$CONFIG"
}

# ---- try-reply and check-config, without a connection ------------------------------------------------
try() { "$BUILDDIR/wabridge" try-reply -c "$CONFIG" --json "$@"; }
tried() { jq -r "$1" <<<"$OUT"; }

ENDPOINT=ws://127.0.0.1:1/ NOISE_ROOT=$(printf '%064d' 0)
write_healthcare
OUT=$(try My mother has chest pain)
equal "try-reply: an emergency comes first" "emergency en true" "$(tried '"\(.intent) \(.language) \(.handover)"')"
check "… with the tenant's number in the text" eval 'tried .text | grep -q "call 999 now"'
OUT=$(try "Habari, mko wapi?")
equal "try-reply: Swahili is recognised" "location sw" "$(tried '"\(.intent) \(.language)"')"
check "… and an overridden fact stands in it" eval 'tried .text | grep -q "12 Market Street"'
OUT=$(printf 'Hello\n2.\n' | "$BUILDDIR/wabridge" try-reply -c "$CONFIG" --json | tail -n 1)
equal "try-reply: a conversation, the number chooses" "appointment 2" "$(tried '"\(.intent) \(.choice)"')"
check "try-reply: words for people" eval '"$BUILDDIR/wabridge" try-reply -c "$CONFIG" hello | grep -q "^intent:    greeting"'

write_healthcare
sed -i 's|^  groups.*||; s|^  queue_per_chat|  hours: sometimes\n  time_zone: Mars/Base\n  language: fr\n  queue_per_chat|' "$CONFIG"
OUT=$("$BUILDDIR/wabridge" check-config -c "$CONFIG" 2>&1 >/dev/null)
check "check-config: bad hours are named" grep -Eq 'wabridge.yaml:[0-9]+:10: replies.hours must be' <<<"$OUT"
check "check-config: … a bad time zone" grep -Eq 'wabridge.yaml:[0-9]+:14: replies.time_zone must be' <<<"$OUT"
check "check-config: … and a language that is not there" grep -Eq 'wabridge.yaml:[0-9]+:13: replies.language .*en, sw' <<<"$OUT"

# ---- with customers -------------------------------------------------------------------------------------
start_sim
write_healthcare
for who in "$PHONE Clinic" "$ANN Ann" "$JUMA Juma" "$EVE Eve"; do
    # shellcheck disable=SC2086
    account $who
done
start_bridge
check "linked" eval 'scan && wait_for 15 connected'

# The intent that answered a message, by its id; waits for the answer to be in the log.
intent() { rows "select o.intent from messages o join messages i on o.reply_to = i.id where i.wa_id = '$1'"; }
answered() { [ "$(intent "$1")" = "$2" ]; }
recorded() { [ "$(rows "select count(*) from messages where wa_id = '$1'")" = 1 ]; }
got() { arrived "$1" $PHONE | jq -e --arg t "$2" '[.messages[] | select(.text | contains($t))] | length >= 1' >/dev/null; }
silent() { wait_for 10 recorded "$1" && [ -z "$(intent "$1")" ]; }
expect() { # NAME FROM TEXT INTENT
    local id
    id=$(say "$2" $PHONE "$3")
    check "$1" wait_for 15 answered "$id" "$4"
}

expect "an English question is answered" $ANN "Hello, where are you?" location
check "… in English, with the tenant's address" wait_for 10 got $ANN "Where to find E2E Shop"
expect "a Swahili question is answered" $JUMA "Habari, mnafungua saa ngapi?" hours
check "… in Swahili" wait_for 10 got $JUMA "Kuhusu saa za kazi"
expect "what says nothing gets the menu" $JUMA "xyz" fallback
check "… in the language of the chat" wait_for 10 got $JUMA "1 Dharura"
expect "its number chooses" $JUMA "6" prices

flagged() { rows "select handover_intent from chats where handover_at is not null and (chat = '$1' or chat_pn = '$1')"; }
ann="$ANN@s.whatsapp.net"
expect "a customer asks for a person" $ANN "Can I talk to someone?" human
equal "… and the chat is flagged" human "$(flagged "$ann")"
id=$(say $ANN $PHONE "where are you?")
check "… and the bridge is silent there" silent "$id"
expect "… and goes on elsewhere" $EVE "where are you?" location

kill -KILL "$BRIDGE_PID"
wait "$BRIDGE_PID" 2>/dev/null
start_bridge
check "after kill -9 it logs in again" wait_for 20 connected
equal "the flag is still there" human "$(flagged "$ann")"
id=$(say $ANN $PHONE "and your opening hours?")
check "… and it is still silent there" silent "$id"
id=$(say $ANN $PHONE "1")
check "a number is no choice for the silent bridge" silent "$id"
expect "an emergency is answered all the same" $ANN "he is unconscious" emergency

ctl() { "$BUILDDIR/wabridge" ctl "$@" --volume "$VOLUME" 2>&1; }
check "a chat that is not flagged is not released" eval 'ctl release --chat 4915199999999 | grep -q "not handed over"'
equal "--chat goes with no other command" 64 "$(ctl stop --chat $ANN >/dev/null; echo $?)"
printf '{"chat":' >"$VOLUME/control/release"
refused_release() { [ "$(ack_of release .result)" = refused ]; }
check "half a command releases nobody" wait_for 10 refused_release
equal "… the flag stays" emergency "$(flagged "$ann")"
equal "ctl release takes a phone number" "done: chats released: 1" "$(ctl release --chat $ANN)"
equal "the flag is gone" "" "$(flagged "$ann")"
expect "the bridge answers there again" $ANN "where are you?" location

expect "Eve asks for a person, too" $EVE "I want to speak to a nurse" human
touch "$VOLUME/control/release"
none_flagged() { [ "$(rows "select count(*) from chats where handover_at is not null")" = 0 ]; }
check "touch control/release releases all" wait_for 10 none_flagged

# ---- time limit, business hours, by reload ----------------------------------------------------------------
reload_with() { # LINE for the section replies
    sed -i "/^  queue_per_chat/,\$!{/^  hours:\|^  handover_s:/d}" "$CONFIG"
    sed -i "s|^  queue_per_chat|  $1\n  queue_per_chat|" "$CONFIG"
    ctl reload >"$WORK/reload.out"
}
reload_with "handover_s: 1"
check "a reload applies it" grep -q "replies.handover_s" "$WORK/reload.out"
expect "Eve is handed over for a second" $EVE "please call me" human
over() { [ "$(rows "select max(handover_at) < (strftime('%s','now') - 2) * 1000 from chats")" = 1 ]; }
check "… which passes" wait_for 10 over
expect "… and she is answered again" $EVE "where are you?" location
equal "… without the flag" "" "$(flagged "$EVE@s.whatsapp.net")"

tomorrow=$(LC_ALL=C date -u -d 'now + 2 days' +%a)
reload_with "hours: $tomorrow 10:00-11:00"
expect "out of hours the text for that goes out" $JUMA "Naomba miadi" closed
check "… in the language of the customer" wait_for 10 got $JUMA "imefungwa kwa sasa"
expect "facts are answered out of hours, too" $EVE "where are you?" location
equal "try-reply says that it is closed" "false closed" "$(try "I need an appointment" | jq -r '"\(.open) \(.answer)"')"
reload_with "hours: Mon-Sun 00:00-24:00"
expect "within hours it is answered as ever" $EVE "are my test results there?" results

printf 'variables: {adress: x}\n' >"$WORK/own.yaml"
ctl reload >"$WORK/reload.out"
check "a reload with a broken template is refused with its position" grep -q 'own.yaml:1:21: variable {adress} is used in no reply' "$WORK/reload.out"
ctl release >/dev/null
expect "… and the old one goes on" $EVE "Where are you" location
summary
