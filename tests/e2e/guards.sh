#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What keeps answers back, and that a SIGKILL makes the bridge forget none of it.
. "$(dirname "$0")/lib.sh"

NEXT=4915100000010

start_sim
write_config
grep -v 'ping_pong_messages\|queue_per_chat' "$WORK/wabridge.yaml" >"$WORK/rest.yaml"
kill_bridge() {
    [ -n "$BRIDGE_PID" ] || return 0
    kill -KILL "$BRIDGE_PID"
    wait "$BRIDGE_PID" 2>/dev/null
    BRIDGE_PID=
}
guards() { # KEY: VALUE…: the guards that hold from now on; the process is another one then
    sed "/^replies:/r /dev/stdin" "$WORK/rest.yaml" >"$WORK/wabridge.yaml" <<<"$(printf '  %s\n' "$@")"
    kill_bridge
    start_bridge
}
person() { # into WHO: somebody no guard knows
    WHO=$NEXT
    NEXT=$((NEXT + 1))
    account "$WHO" "Person $WHO"
}
replies() { arrived "$WHO" $PHONE | jq '.messages | length'; }
replies_are() { [ "$(replies)" = "$1" ]; }
ask() { # TEXT: says it and waits until it is recorded
    local id
    id=$(say "$WHO" $PHONE "$1")
    wait_for 10 eval "[ \"\$(rows \"select count(*) from messages where wa_id='$id'\")\" = 1 ]"
}
ask_answered() { # TEXT N: and waits for the answer, the Nth
    ask "$1"
    wait_for 10 replies_are "$2"
}

account $PHONE Shop
guards 'ping_pong_messages: 3'
check "linked" eval 'scan && wait_for 15 connected'

# ---- a bot at the other end ------------------------------------------------------------------------
person
check "a first text is answered" ask_answered "Ticket received" 1
check "… and a second one like it" ask_answered "Ticket received." 2
guards 'ping_pong_messages: 3' && wait_for 15 connected
ask "TICKET received!"
ask "Now something else"
person
check "somebody else is answered" ask_answered "hello" 1
WHO=$((NEXT - 2))
equal "the third in a row is not, also after SIGKILL" 2 "$(replies)"
equal "… which is recorded" "dropped ping_pong" "$(rows "select status || ' ' || error from messages where error is not null")"

# ---- cooldown and daily cap --------------------------------------------------------------------------
guards 'cooldown_s: 3600' && wait_for 15 connected
person
check "before the cooldown there is an answer" ask_answered "one" 1
guards 'cooldown_s: 3600' && wait_for 15 connected
ask "two"
guards 'daily_cap: 2' && wait_for 15 connected
check "without the cooldown, too" ask_answered "three" 2
ask "four"
person
check "the cap is for each chat" ask_answered "one" 1
WHO=$((NEXT - 2))
equal "cooldown and cap hold after SIGKILL" 2 "$(replies)"

# ---- delay, and the owner who is faster ------------------------------------------------------------------
guards 'delay_min_ms: 3000' 'delay_max_ms: 3000' 'queue_per_chat: 2' && wait_for 15 connected
person
ask "is anybody there?"
equal "a reply takes its time" 0 "$(replies)"
say $PHONE "$WHO" "yes, I am" >/dev/null
overtaken() { [ "$(rows "select count(*) from messages where error='owner_answered'")" = 1 ]; }
check "the owner who answers meanwhile is not talked over" wait_for 10 overtaken
person
ask "first"
guards 'delay_min_ms: 3000' 'delay_max_ms: 3000' 'queue_per_chat: 2' 'wait_text: Please wait.' && wait_for 15 connected
for text in second third fourth fifth; do ask "$text"; done
check "a delayed reply survives SIGKILL" wait_for 15 replies_are 3
equal "what is too much gets one polite word" 1 "$(arrived "$WHO" $PHONE | jq '[.messages[] | select(.text == "Please wait.")] | length')"
equal "… and no more" 2 "$(rows "select count(*) from messages where error='queue_overflow'")"

# ---- the limit of the tenant ------------------------------------------------------------------------------
limit() { # PER-MINUTE
    sed -i "s/max_per_minute: .*/max_per_minute: $1/" "$WORK/rest.yaml"
    guards 'enabled: true' && wait_for 15 connected
}
# What the cases above sent is made a minute older: how long they took decides nothing here.
kill_bridge
sqlite3 "$VOLUME/messages.db" "update messages set sent_at = sent_at - 60000 where direction = 'OUT'"
limit 2
person
check "below the limit there are answers" eval 'ask_answered one 1 && ask_answered two 2'
ask "three"
warned() { [ "$(rows "select count(*) from messages where intent='rate_limit_warning' and status in ('sent','delivered','read')")" = 1 ]; }
check "beyond it there is one warning" wait_for 10 warned
limit 2
ask "four"
dropped() { [ "$(rows "select count(*) from messages where error='rate_limit'")" = 1 ]; }
check "… and after SIGKILL silence" wait_for 10 dropped
equal "… not a second warning" "1 3" "$(rows "select count(*) from messages where intent='rate_limit_warning'") $(replies)"
sed -i "s/max_per_minute: .*/max_per_minute: 0/" "$WORK/rest.yaml"

# ---- switched off meanwhile ------------------------------------------------------------------------------
guards 'delay_min_ms: 3000' 'delay_max_ms: 3000' && wait_for 15 connected
person
ask "too late"
guards 'enabled: false' && wait_for 15 connected
off() { [ "$(rows "select count(*) from messages where error='replies_off'")" = 1 ]; }
check "switched off, nothing that waits is sent" wait_for 10 off
summary
