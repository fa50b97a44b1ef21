#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# From the name of the server to a connection: a name server that does not answer holds up nothing, addresses are
# tried one after the other, of both families.
. "$(dirname "$0")/lib.sh"
[ -e "$BUILDDIR/world.so" ] || make -C "$BUILDDIR" -s world.so || exit 1

SOCAT_PIDS=
trap 'for pid in $SOCAT_PIDS; do kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; done; finish' EXIT

start_sim
PORT=${ENDPOINT#ws://127.0.0.1:} PORT=${PORT%/*/*}
names() { printf '%s\n' "$@" >"$WORK/names.new" && mv "$WORK/names.new" "$WORK/names"; }
WRAP=(env LD_PRELOAD="$BUILDDIR/world.so" WORLD_NAMES="$WORK/names")
life() { # a bridge whose server has that name: plain ws:// is for this machine only, and so is localhost
    rm -rf "$VOLUME" "$PRIVATE"
    mkdir -p "$VOLUME" "$PRIVATE"
    ENDPOINT="ws://localhost:${1:-$PORT}/ws/chat" HEARTBEAT_MS=100
    write_config
    start_bridge
}
shows_qr() { state_is .status QR_PENDING && state_is .process.pid "$BRIDGE_PID"; }
error_is() { state_is .last_error.code "$1"; }
beats() { [ "$(state .seq)" -gt $((SEQ + 5)) ]; }

# ---- a name server that does not answer ------------------------------------------------------------------
names 'localhost hang'
life
wait_for 5 state_is .session.state CONNECTING
SEQ=$(state .seq)
check "while the name server is silent, heartbeats go on" wait_for 5 beats
touch "$VOLUME/control/reload"
check "… and commands are answered" wait_for 3 test -e "$VOLUME/control/ack/reload.json"
names 'localhost 127.0.0.1'
check "when it answers after all, the server is reached" wait_for 10 shows_qr
stop_bridge
names 'localhost hang'
life
wait_for 5 state_is .session.state CONNECTING
BEFORE=$(date +%s%3N)
stop_bridge
equal "control/stop works meanwhile" 0 $?
check "… at once" test $(($(date +%s%3N) - BEFORE)) -lt $((2000 * ${SLOW:-1}))

# ---- names that are none, servers that are not there -------------------------------------------------------
names 'localhost nothing'
life
check "a name without an address is said to be one" wait_for 10 error_is name_not_resolved
names 'localhost 127.0.0.1'
check "… and is asked for again by itself" wait_for 10 shows_qr
stop_bridge
names 'localhost 127.0.0.1'
life 1
check "nobody listens: not_reached" wait_for 10 error_is not_reached
stop_bridge

# ---- several addresses ---------------------------------------------------------------------------------
names 'localhost 127.0.0.9 ::1 127.0.0.1'
life
check "an address at which nobody listens is followed by the next" wait_for 10 shows_qr
equal "… without an attempt being lost" 0 "$(state .reconnect.attempt)"
stop_bridge
SILENT_PORT=$((20000 + RANDOM % 20000))
socat "TCP6-LISTEN:$SILENT_PORT,bind=[::1],ipv6only=1,reuseaddr,fork" "TCP:127.0.0.1:$PORT" 2>"$WORK/socat.log" &
SOCAT_PIDS="$SOCAT_PIDS $!"
names 'localhost 127.0.0.1 ::1'
life "$SILENT_PORT"
check "an IPv6 address works like any other" wait_for 10 shows_qr
stop_bridge
socat "TCP4-LISTEN:$SILENT_PORT,bind=127.0.0.7,reuseaddr,fork" SYSTEM:'cat >/dev/null' 2>>"$WORK/socat.log" &
SOCAT_PIDS="$SOCAT_PIDS $!"
names 'localhost 127.0.0.7 ::1'
life "$SILENT_PORT"
check "an address that accepts and says nothing is left after some seconds" wait_for 12 shows_qr
equal "… within the same attempt" 0 "$(state .reconnect.attempt)"
stop_bridge
summary
