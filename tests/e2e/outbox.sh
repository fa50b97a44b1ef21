#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# outbox/ as a portal uses it: messages out, idempotency, times, back-pressure, a flood, and SIGKILL in the middle of it; each name must reach its recipient once. OUTBOX (2000) files, KILLS (5).
. "$(dirname "$0")/lib.sh"

OUTBOX=${OUTBOX:-2000} KILLS=${KILLS:-5} RANDOM=${SEED:-$$}
ANN=4915100000002 BOB=4915100000003 CARL=4915100000004
NEW=$VOLUME/outbox/new DONE=$VOLUME/outbox/done REFUSED=$VOLUME/outbox/failed

start_sim
write_config
cp "$WORK/wabridge.yaml" "$WORK/rest.yaml"
limits() { # PER-MINUTE QUEUE
    { cat "$WORK/rest.yaml"; printf 'outbox:\n  max_per_minute: %s\n  queue_messages: %s\n' "$1" "$2"; } >"$WORK/wabridge.yaml"
}
limits 0 1000
account $PHONE Shop
account $ANN Ann
account $BOB Bob
start_bridge
check "linked" eval 'scan && wait_for 15 connected'

drop() { # NAME JSON: as a portal does it
    printf '%s' "$2" >"$NEW/.$1.json" && mv "$NEW/.$1.json" "$NEW/$1.json"
}
got() { arrived "$1" $PHONE | jq -r --arg t "$2" '[.messages[] | select(.text == $t)] | length'; }
got_once() { [ "$(got "$1" "$2")" = 1 ]; }
done_has() { jq -e "$2" "$DONE/$1.json"; }
failed_says() { jq -re .error "$REFUSED/$1.json" | grep -Eq "$2"; }

# ---- the ordinary way ------------------------------------------------------------------------------
drop order-1 "{\"to\":\"$ANN\",\"text\":\"Your order is ready ☕\"}"
check "a message to a number never seen arrives" wait_for 15 got_once $ANN "Your order is ready ☕"
check "its result is published" wait_for 10 test -e "$DONE/order-1.json"
check "… with id, number and the server's time" done_has order-1 '.id and .server_at and .name == "order-1"'
check "… the recipient by phone number and by LID" done_has order-1 ".pn == \"$ANN@s.whatsapp.net\" and (.lid | test(\"^[0-9]+@lid\$\"))"
check "… and grows with the delivery" wait_for 10 done_has order-1 '.delivered_at and .status != "sent"'
equal "the result names the row" "$(rows "select wa_id from messages where outbox_name='order-1'")" "$(jq -r .id "$DONE/order-1.json")"
check "the file is gone" test ! -e "$NEW/order-1.json"

drop order-1 "{\"to\":\"$ANN\",\"text\":\"the same name again\"}"
check "the same name again is taken away" wait_for 10 test ! -e "$NEW/order-1.json"
drop order-2 "{\"to\":\"$ANN@s.whatsapp.net\",\"text\":\"second\"}"
check "a JID does as well" wait_for 10 got_once $ANN second
equal "… and the repeated name sent nothing" 0 "$(got $ANN "the same name again")"

say $ANN $PHONE "a question" >/dev/null
asked=$(wait_for 10 eval '[ -n "$(rows "select wa_id from messages where text='"'a question'"'")" ]'; rows "select wa_id from messages where text='a question'")
drop quote-1 "{\"to\":\"$ANN\",\"text\":\"about that\",\"quote\":\"$asked\"}"
check "a message that quotes arrives" wait_for 10 got_once $ANN "about that"
drop quote-2 "{\"to\":\"$BOB\",\"text\":\"not yours\",\"quote\":\"$asked\"}"
check "a quote from another chat is refused" wait_for 10 failed_says quote-2 "quote"
equal "… and nothing of it leaks" 0 "$(got $BOB "not yours")"

# ---- a chat whose messages disappear -----------------------------------------------------------------
timer_of() { arrived "$1" $PHONE | jq -r --arg t "$2" '.messages[] | select(.text == $t) | .expiration'; }
timer_kept() { [ "$(rows "select expiration_s from chats where chat_pn = '$1@s.whatsapp.net'")" = "$2" ]; }
account $CARL Carl
post /accounts/$PHONE/send "{\"to\":\"$CARL\",\"text\":\"for a day\",\"expiration\":86400}" >/dev/null
check "what the owner wrote on the phone tells the timer of the chat" wait_for 10 timer_kept $CARL 86400
drop timed '{"to":"'$CARL'","text":"gone tomorrow"}'
check "a message of the outbox to that chat arrives" wait_for 10 got_once $CARL "gone tomorrow"
equal "… and disappears as the others there" 86400 "$(timer_of $CARL "gone tomorrow")"
equal "… those of other chats stay" 0 "$(timer_of $ANN "about that")"

# ---- a stranger, and from a terminal ----------------------------------------------------------------
drop nobody '{"to":"4915199999999","text":"hello?"}'
check "a number that is not on WhatsApp fails clearly" wait_for 10 failed_says nobody "not on WhatsApp"

out=$("$BUILDDIR/wabridge" send $BOB "from the shell" --volume "$VOLUME" 2>&1)
equal "wabridge send waits for its result" 0 $?
check "… and it arrived" wait_for 10 got_once $BOB "from the shell"
out=$("$BUILDDIR/wabridge" send +49-151 "x" --volume "$VOLUME" 2>&1)
equal "wabridge send says what was wrong" "1 yes" "$? $(echo "$out" | grep -q "phone number" && echo yes)"

# ---- times ------------------------------------------------------------------------------------------
at() { date -u -d "$1" +%FT%TZ; }
drop later "{\"to\":\"$BOB\",\"text\":\"later\",\"not_before\":\"$(at '+4 seconds')\"}"
drop much-later "{\"to\":\"$BOB\",\"text\":\"much later\",\"not_before\":\"$(at '+1 hour')\",\"expires_at\":\"$(at '+3 hours')\"}"
drop old "{\"to\":\"$BOB\",\"text\":\"old\",\"expires_at\":\"$(at '-1 second')\"}"
drop short "{\"to\":\"$BOB\",\"text\":\"short\",\"expires_at\":\"$(at '+1 hour')\"}"
check "what does not wait is not held up by what does" wait_for 10 got_once $BOB short
equal "not_before is obeyed" 0 "$(got $BOB later)"
check "… and its time comes" wait_for 15 got_once $BOB later
check "what is expired fails" wait_for 10 failed_says old expired
check "what waits for its time is counted" wait_for 10 state_is .queues.outbox 1

# ---- written in place; the directory goes away (broken and hostile files: badinput.sh) ------------------------
printf '{"to":"%s","te' $ANN >"$NEW/slow.json"
printf '{"to":"%s","text":"written slowly"}' $ANN >"$NEW/slow.json"
check "a file written in place is waited for" wait_for 10 got_once $ANN "written slowly"
printf '{"to":"%s","te' $ANN >"$NEW/half.json"
check "… but not for ever" wait_for 15 failed_says half .
rm -rf "$NEW"
check "outbox/new comes back when it was removed" wait_for 15 test -d "$NEW"
drop back "{\"to\":\"$ANN\",\"text\":\"back again\"}"
check "… and is used" wait_for 15 got_once $ANN "back again"

# ---- the rate, and back-pressure ------------------------------------------------------------------------
limits 60 100
"$BUILDDIR/wabridge" ctl reload --volume "$VOLUME" >"$WORK/ctl.out" 2>&1 || cat "$WORK/ctl.out"
for i in $(seq -w 200); do drop "slow-$i" "{\"to\":\"$BOB\",\"text\":\"slow $i\"}"; done
check "back-pressure is published" wait_for 10 state_is '.queues.outbox_full' true
say $ANN $PHONE "am I still answered?" >/dev/null
check "a reply overtakes the outbox" wait_for 10 got_once $ANN "You wrote: am I still answered?"
sent=$(rows "select count(*) from messages where outbox_name like 'slow-%' and status not in ('queued')")
check "… whose rate is kept ($sent so far)" test "$sent" -le 20
check "files wait in outbox/new" test -n "$(ls "$NEW")"
limits 0 1000
"$BUILDDIR/wabridge" ctl reload --volume "$VOLUME" >"$WORK/ctl.out" 2>&1 || cat "$WORK/ctl.out"
slow_done() { [ "$(rows "select count(*) from messages where outbox_name like 'slow-%' and status in ('sent','delivered','read')")" = 200 ]; }
check "without the limit all go" wait_for 30 slow_done
order=$(rows "select group_concat(substr(outbox_name,6)) from (select outbox_name from messages where outbox_name like 'slow-%' order by id)")
equal "… in the order they were written" "$(seq -w -s, 200)" "$order"

# ---- a flood, and SIGKILL ----------------------------------------------------------------------------------
flood_done() { [ "$(rows "select count(*) from messages where outbox_name like 'flood-%' and status in ('sent','delivered','read')")" -ge "$1" ]; }
PEOPLE=$((OUTBOX / 500 + 2)) # the simulator keeps the newest 1000 messages of each
for ((i = 0; i < PEOPLE; i++)); do account $((4915100001000 + i)) "Person $i"; done
mkdir "$WORK/flood"
for ((i = 1; i <= OUTBOX; i++)); do
    printf -v name 'flood-%06d' "$i"
    printf '{"to":"%s","text":"%s"}' $((4915100001000 + i % PEOPLE)) "$name" >"$WORK/flood/$name.json"
done
started=$SECONDS
find "$WORK/flood" -name '*.json' -print0 | sort -z | xargs -0 mv -t "$NEW"
for ((i = 1; i <= KILLS; i++)); do
    wait_for 120 flood_done $((i * OUTBOX / (KILLS + 1))) || not_ok "the flood stands still"
    sleep "0.$((RANDOM % 200 + 100))"
    kill -KILL "$BRIDGE_PID"
    wait "$BRIDGE_PID" 2>/dev/null
    start_bridge
done
check "$OUTBOX files are worked off over $KILLS kills" wait_for 300 flood_done "$OUTBOX"
rss=$(awk '/VmHWM/ {print $2}' "/proc/$BRIDGE_PID/status")
echo "# outbox=$OUTBOX seconds=$((SECONDS - started)) peak_rss_kib=$rss"
check "… in bounded memory" test "$rss" -lt "${RSS_MAX:-60000}"
check "outbox/new is empty" wait_for 10 eval '[ -z "$(ls "$NEW")" ]'
all_reported() { [ "$(find "$DONE" -name 'flood-*.json' | wc -l)" = "$OUTBOX" ]; }
check "each has its result" wait_for 60 all_reported
disorder=$(rows "select count(*) from (select outbox_name as n, lag(outbox_name) over (order by id) as p from messages where outbox_name like 'flood-%') where n < p")
equal "they were taken in the order they were written" 0 "$disorder"
equal "none failed" 0 "$(find "$REFUSED" -name 'flood-*' | wc -l)"
seen() { # how many different ones, how many in all, as the two recipients see them
    for ((p = 0; p < PEOPLE; p++)); do arrived $((4915100001000 + p)) $PHONE; done | jq -rs '[.[].messages[].text | select(startswith("flood-"))] | "\(unique | length) \(length)"'
}
all_seen() { [ "$(seen)" = "$OUTBOX $OUTBOX" ]; }
wait_for 30 all_seen
equal "each name reached its recipient once" "$OUTBOX $OUTBOX" "$(seen)"
summary
