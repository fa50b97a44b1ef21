#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Every way in which a connection ends: what is published, and whether the bridge dials again. The table is printed as it
# was observed. The monotonic clock runs fast (world.c), so that minutes pass in seconds.
. "$(dirname "$0")/lib.sh"
[ -e "$BUILDDIR/world.so" ] || make -C "$BUILDDIR" -s world.so || exit 1

SPEED=20 HEARTBEAT_MS=100 # waited for in real time: two seconds of the fast clock
SOCAT_PID=
trap 'stop_server; finish' EXIT
CLOCK="$WORK/clock"
ahead() { printf '%-24s' "$1" | dd of="$CLOCK" conv=notrunc status=none; }
ahead 0
world() { WRAP=(env LD_PRELOAD="$BUILDDIR/world.so" WORLD_CLOCK="$CLOCK" WORLD_SPEED="${1:-$SPEED}"); }

stop_server() {
    [ -z "$SOCAT_PID" ] || { kill "$SOCAT_PID"; wait "$SOCAT_PID"; } 2>/dev/null
    SOCAT_PID=
}

# ---- one linked device, of which every scenario gets a copy -------------------------------------------------
start_sim
REAL=$ENDPOINT
write_config
account $PHONE Shop
WRAP=(env)
start_bridge
check "linked" eval 'scan && wait_for 15 connected'
stop_bridge
cp -a "$PRIVATE" "$WORK/linked"

fault() { post /faults "$(jq -cn --arg t "$PHONE:1" --arg k "$1" --arg s "${2:-}" '{target:$t,kind:$k,stanza:$s}')" >/dev/null; }
next() { post /faults "{\"target\":\"next_connection\",\"kind\":\"$1\"}" >/dev/null; }
dials() { get /stats | jq .connections_total; }
life() { # the linked device, on a new volume
    rm -rf "$VOLUME" "$PRIVATE"
    mkdir -p "$VOLUME"
    cp -a "$WORK/linked" "$PRIVATE"
    write_config
    [ -z "${PATIENT:-}" ] || sed -i 's/initial_ms: 50/initial_ms: 60000/; s/max_ms: 1000/max_ms: 600000/' "$WORK/wabridge.yaml"
    BEFORE=$(dials)
    start_bridge
}
code_is() { state_is .last_error.code "$1" && state_is .process.pid "$BRIDGE_PID"; }
time_passes() { # HEARTBEATS, of which each is two seconds of the bridge's
    SEQ=$(state .seq)
    wait_for 10 eval "[ \"\$(state .seq)\" -ge $((SEQ + ${1:-4})) ]"
}
row() { # NAME: prints what is to be seen, into ROW, and ends the life
    local again
    again=$(state .reconnect.next_at)
    ROW="$(state .status)/$(state .session.state) $(state .last_error.code) dials=$(($(dials) - BEFORE))"
    printf '# %-34s %s%s\n#     %s\n' "$1" "$ROW" "${again:+ next=$again}" "$(state .last_error.message)"
    kill -KILL "$BRIDGE_PID" 2>/dev/null
    wait "$BRIDGE_PID" 2>/dev/null
    BRIDGE_PID=
}

# halts NAME CODE SESSION: no second dial, however much time passes.
halts() {
    wait_for 10 eval "code_is $2 && state_is .session.state $3"
    time_passes 2
    row "$1"
    equal "$1: stays" "ERROR/$3 $2 dials=1" "$ROW"
}
# returns NAME CODE: the next dial is a login.
returns() {
    wait_for 10 eval "[ \$((\$(dials) - BEFORE)) = 2 ] && connected && { [ -z '$2' ] || code_is '$2'; }"
    row "$1"
    equal "$1: comes back" "RUNNING/CONNECTED${2:+ }$2 dials=2" "$(tr -s ' ' <<<"$ROW")"
}

# ---- failure ------------------------------------------------------------------------------------------
world
refused() { # NAME STANZA CODE SESSION
    fault failure "$2"
    life
    halts "$1" "$3" "$4"
}
for reason in 400 409 413 414 415 418 501 999; do
    refused "failure $reason" "<failure reason=\"$reason\"/>" refused RESTRICTED
done
refused "failure without a reason" '<failure/>' refused RESTRICTED
refused "failure 401" '<failure reason="401" location="frc"/>' logged_out LOGGED_OUT
refused "failure 403" '<failure reason="403" logout_message_header="Locked" logout_message_subtext="Open the app"/>' account_locked LOGGED_OUT
check "… with the words for the owner" grep -q 'Locked: Open the app' "$VOLUME/state.json"
refused "failure 405" '<failure reason="405"/>' version_rejected VERSION_REJECTED
refused "failure 406" '<failure reason="406"/>' logged_out LOGGED_OUT
for reason in 500 503; do
    fault failure "<failure reason=\"$reason\"/>"
    life
    returns "failure $reason" server_unavailable
done

# ---- bans ---------------------------------------------------------------------------------------------
for code in 101 7; do
    refused "failure 402, code $code, a day" "<failure reason=\"402\" code=\"$code\" expire=\"86400\"/>" temporarily_banned RESTRICTED
done
refused "failure 402 without an end" '<failure reason="402"/>' temporarily_banned RESTRICTED
left() { echo $((($(date -d "$(state .reconnect.next_at)" +%s) - $(date +%s)) / 60)); }
check "… is tried again after hours" test "$(left)" -ge 300 -a "$(left)" -le 360
life_again() { BEFORE=$(dials); start_bridge; }
life_again
wait_for 10 eval 'code_is temporarily_banned && state_is .session.state RESTRICTED'
time_passes
row "a restart while banned"
equal "a restart while banned does not dial" "ERROR/RESTRICTED temporarily_banned dials=0" "$ROW"
ahead -300000000
life_again
wait_for 10 state_is .session.state RESTRICTED
equal "… the clock set back by years does not make it longer" 360 "$((($(date -d "$(state .reconnect.next_at)" +%s) + 300000000 - $(date +%s) + 59) / 60))"
row "banned, and the clock set back by years"
ahead 0
fault failure '<failure reason="402" code="101" expire="100"/>'
life
returns "failure 402, 100 seconds" temporarily_banned
life_again
check "after the ban a restart dials at once" wait_for 10 connected
row "a restart after the ban"

# ---- stream errors ----------------------------------------------------------------------------------------
broken() { # STANZA: said to the connected bridge
    life
    wait_for 10 connected
    fault stream_error "$1"
}
broken '<stream:error code="515"/>' && returns "stream:error 515" ""
broken '<stream:error code="503"/>' && returns "stream:error 503" server_unavailable
broken '<stream:error code="500"/>' && returns "stream:error 500" server_unavailable
broken '<stream:error code="429"/>' && returns "stream:error 429" too_many_connects
broken '<stream:error><ack class="message" id="1"/></stream:error>' && returns "stream:error with <ack>" stream_end
broken '<stream:error><xml-not-well-formed/></stream:error>' && returns "stream:error xml-not-well-formed" stream_end
broken '<stream:error code="777"><strange/></stream:error>' && returns "stream:error unknown" stream_end
broken '<stream:error/>' && returns "stream:error empty" stream_end
broken '<stream:error code="401"/>' && returns "stream:error 401 without conflict" stream_end
broken '<xmlstreamend/>' && returns "xmlstreamend" stream_end
broken '<stream:error code="516"/>' && halts "stream:error 516" logged_out LOGGED_OUT
broken '<stream:error code="401"><conflict type="device_removed"/></stream:error>' && halts "device_removed" logged_out LOGGED_OUT
broken '<stream:error><conflict type="replaced"/></stream:error>' && halts "replaced" replaced REPLACED
broken '<stream:error><conflict type="other"/></stream:error>' && halts "conflict of another type" refused RESTRICTED

# ---- a server that asks for one restart after another --------------------------------------------------------
world 1
life
for _ in 1 2 3; do
    wait_for 10 connected
    SEEN=$(dials)
    fault stream_error '<stream:error code="515"/>'
    wait_for 10 eval '[ "$(dials)" -gt "$SEEN" ]'
done
check "515 again and again is dialled with the backoff" wait_for 10 code_is restart_required
row "stream:error 515, three times"
world

# ---- the wire breaks or falls silent -----------------------------------------------------------------------
life
wait_for 10 connected
post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"close\"}" >/dev/null
returns "closed without a word" connection_lost
life
wait_for 10 connected
post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"truncated_frame\"}" >/dev/null
returns "closed within a frame" connection_lost
life
wait_for 10 connected
time_passes 20 # it is stable by then
post /faults "{\"target\":\"$PHONE:1\",\"kind\":\"half_open\"}" >/dev/null
returns "half-open: no bytes any more" server_silent
next silent
life
returns "silent from the WebSocket on" server_silent
next silent_login
life
returns "silent after the handshake" server_silent
sqlite3 "$WORK/linked/keys.db" "delete from device where key='server_key'" # a login that resumes sees none
next bad_certificate
life
returns "certificate of another server" handshake_failed

# ---- what is not a WhatsApp --------------------------------------------------------------------------------
PORT=$((20000 + RANDOM % 20000))
server() { # SHELL: what answers there, after the request; each connection is a line in hits
    stop_server
    : >"$WORK/hits"
    cat >"$WORK/server.sh" <<SH
echo >>"$WORK/hits"
while read -r line && [ \${#line} -gt 1 ]; do :; done
$1
SH
    socat "TCP4-LISTEN:$PORT,bind=127.0.0.1,reuseaddr,fork" EXEC:"bash $WORK/server.sh" 2>>"$WORK/socat.log" &
    SOCAT_PID=$!
}
lost() { # NAME CODE LEAST MOST: dials within 80 seconds of the bridge's; the first wait is up to 60
    wait_for 15 code_is "$2"
    time_passes 40
    local n
    n=$(wc -l <"$WORK/hits")
    row "$1"
    equal "$1: is said" "ERROR/DISCONNECTED $2" "${ROW% *}"
    check "… and dialled again, but not hammered: $n" test "$n" -ge "$3" -a "$n" -le "$4"
}
PATIENT=1 ENDPOINT="ws://127.0.0.1:$PORT/ws/chat"
server "printf 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'; cat >/dev/null"
life
lost "HTTP 403 instead of the upgrade" upgrade_refused 1 6
check "… with the status" grep -q 'HTTP status 403' "$VOLUME/state.json"
server "printf 'HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n'; cat >/dev/null"
life
lost "HTTP 500 instead of the upgrade" upgrade_refused 1 6
server "cat >/dev/null"
life
lost "accepts TCP and says nothing" upgrade_refused 1 6
stop_server
: >"$WORK/hits"
life
lost "connection refused" not_reached 0 0
PATIENT='' ENDPOINT=$REAL

# ---- the clock --------------------------------------------------------------------------------------------
for years in 300000000 -300000000; do
    ahead $years
    life
    check "the clock is wrong by years ($years s): no connection, and the clock is named" \
        wait_for 10 eval 'code_is handshake_failed && grep -q "clock" "$VOLUME/state.json"'
    ahead 0
    check "… when it is right again, the tenant is back" wait_for 10 connected
    row "clock wrong by ${years} s"
done
life
wait_for 10 connected
account 4915200000001 Ann
N=0
for years in 300000000 -300000000; do
    ahead $years
    time_passes
    N=$((N + 1))
    say 4915200000001 $PHONE "hello $N" >/dev/null
    check "while connected, a clock set by $years s breaks nothing: heartbeats, answers" \
        wait_for 10 eval "[ \"\$(arrived 4915200000001 $PHONE | jq '.messages|length')\" = $N ]"
done
ahead 0
row "clock set while connected"
equal "… the connection is the first one" "RUNNING/CONNECTED dials=1" "$(tr -s ' ' <<<"$ROW")"
summary
