#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The way into the service: login resume (Noise IK) with every answer that a server may give to it, routing
# info. What the server saw decides.
. "$(dirname "$0")/lib.sh"

start_sim
write_config
account $PHONE Shop
start_bridge
check "linked" eval 'scan && wait_for 15 connected'

stat_of() { get /stats | jq -r ".$1"; }
logins() { get "/events?after=0" | jq -r '[.events[] | select(.event == "login") | .detail] | join(" ")'; }
last_login() { logins | awk '{print $NF}'; }
login_count() { logins | wc -w; }
more_logins() { [ "$(login_count)" -gt "$1" ]; }
preset() { post /faults "{\"target\":\"next_connection\",\"kind\":\"$1\"}" >/dev/null; }
# reconnect [FAULT]: ends the connection; what the fault is about meets the next one. Waits for a login.
reconnect() {
    local before
    before=$(login_count)
    [ $# = 0 ] || preset "$1"
    post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"close\"}" >/dev/null
    wait_for 20 more_logins "$before" && wait_for 10 connected
}
says_no_error() { state_is .last_error.code ""; }
logged() { grep -q "$1" "$WORK/bridge.log"; }

# ---- resume ----------------------------------------------------------------------------------------
equal "the first login of a device is XX" XX "$(last_login)"
check "logged in again" reconnect
equal "… as a resume" IK "$(last_login)"
stop_bridge
before=$(login_count)
start_bridge
check "started again" eval 'wait_for 15 more_logins '"$before"' && wait_for 10 connected'
equal "… as a resume: the key outlives the process" IK "$(last_login)"

check "a server with another key" reconnect resume_refused
equal "… is met half way" XXfallback "$(last_login)"
check "a server that knows XX only" reconnect resume_ignored
equal "… takes the hello for XX" XX "$(last_login)"
check "and the next time" reconnect
equal "… it is a resume" IK "$(last_login)"

check "a server that closes on a resume" reconnect resume_closed
equal "… is dialled again with XX" XX "$(last_login)"
check "and once more" reconnect
equal "… with XX" XX "$(last_login)"
check "and then" reconnect
equal "… a resume is tried again" IK "$(last_login)"

preset resume_closed
kill -9 "$BRIDGE_PID"
wait "$BRIDGE_PID" 2>/dev/null
before=$(login_count)
start_bridge
check "closed on a resume after kill -9" eval 'wait_for 15 more_logins '"$before"' && wait_for 10 connected'
equal "… is followed by XX" XX "$(last_login)"
check "again XX" reconnect
check "and a resume" reconnect
equal "… after that" IK "$(last_login)"

# … killed while the server kept silent: the mark of the resume was there before the hello left.
preset silent
before=$(stat_of connections_total)
post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"close\"}" >/dev/null
heard() { [ "$(stat_of connections_total)" -gt "$before" ] && [ "$(stat_of bytes_in)" -gt "$bytes" ]; }
bytes=$(stat_of bytes_in)
check "a silent server has the hello" wait_for 10 heard
kill -9 "$BRIDGE_PID"
wait "$BRIDGE_PID" 2>/dev/null
before=$(login_count)
start_bridge
check "killed then, and started again" eval 'wait_for 15 more_logins '"$before"' && wait_for 10 connected'
equal "… it logs in with XX" XX "$(last_login)"
check "again XX" reconnect
check "and a resume" reconnect
equal "… after that" IK "$(last_login)"

check "an answer to a resume that nobody can open" reconnect resume_spoiled
check "… is an error of the handshake" logged handshake_failed
equal "… and then XX" XX "$(last_login)"
check "… which gives a key" reconnect
equal "… to resume with at once" IK "$(last_login)"

# A wrong certificate is said, also where the resume hid that it would come.
preset bad_certificate_signature
preset resume_refused
post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"close\"}" >/dev/null
check "a bad certificate behind a refused resume is an error" wait_for 10 logged "not signed by whom it should be"
check "… and the good server is reached again" wait_for 15 connected
equal "… with XX" XX "$(last_login)"

# ---- routing info ------------------------------------------------------------------------------------
routed() { get "/events?after=0" | jq -r '[.events[] | select(.event == "routed") | .detail] | join(" ")'; }
equal "connections began with the routing info as received" "080c0805" "$(routed | tr ' ' '\n' | sort -u)"
before=$(stat_of routed)
check "logged in again" reconnect
equal "… through the routing info" $((before + 1)) "$(stat_of routed)"
before=$(stat_of routed)
check "a server that closes on routing info" reconnect routing_closed
equal "… is dialled without" $((before + 1)) "$(stat_of routed)"
check "and the next time" reconnect
equal "… with what it sent anew" $((before + 2)) "$(stat_of routed)"

equal "no stanza of ours broke a rule" 0 "$(get "/events?after=0" | jq '[.events[] | select(.event == "violation")] | length')"
stop_bridge
equal "the bridge stopped in good order" 0 $?
summary
