#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# ./bootstrap.sh run: one tenant, seen from outside. Everything shown is read from the volume, as a portal
# would. Options: --once, --volume DIR, --whatsapp. Needs BUILDDIR.
set -u
: "${BUILDDIR:?set BUILDDIR to the build directory}"
TOP=$(cd "$(dirname "$0")/../.." && pwd)
ONCE= WHATSAPP= DIR=$PWD/demo
SIM_PID= BRIDGE_PID= SHOWN=
OWNER=4915112345678 CUSTOMER=254712345678
POLL=0.05 # seconds between two looks at the volume

while [ $# -gt 0 ]; do
    case $1 in
    --once) ONCE=1 ;;
    --whatsapp) WHATSAPP=1 ;;
    --volume)
        [ $# -ge 2 ] || { echo "--volume needs a directory" >&2; exit 64; }
        DIR=$2
        shift
        ;;
    *)
        echo "usage: ./bootstrap.sh run [--once] [--volume DIR] [--whatsapp]" >&2
        exit 64
        ;;
    esac
    shift
done
[ -z "$ONCE" ] || [ -z "$WHATSAPP" ] || { echo "--once needs the simulator: a person must scan the QR of --whatsapp" >&2; exit 64; }
mkdir -p "$DIR" || exit 69
DIR=$(cd "$DIR" && pwd)
VOLUME=$DIR/volume PRIVATE=$DIR/private
[ -z "$WHATSAPP" ] || PRIVATE=$DIR/private-whatsapp VOLUME=$DIR/volume-whatsapp
mkdir -p "$VOLUME" "$PRIVATE"

if [ -t 1 ]; then BOLD=$'\e[1m' DIM=$'\e[2m' OFF=$'\e[0m'; else BOLD= DIM= OFF=; fi
step() { printf '%s%s%s %s\n' "$BOLD" "$1" "$OFF" "${2:-}"; }
fail() {
    step "FAILED" "$1"
    echo "the bridge's log: $DIR/bridge.log; the simulator's: $DIR/sim.log"
    tail -n 5 "$DIR/bridge.log" 2>/dev/null
    exit 1
}

finish() {
    local pid
    for pid in $BRIDGE_PID $SIM_PID; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
}
trap finish EXIT
trap 'echo; exit 0' INT TERM

show_state() { # prints each transition of state.json once
    local now
    now=$(jq -r --arg pid "$BRIDGE_PID" 'select((.process.pid | tostring) == $pid) |
        "\(.status) / \(.session.state)"' "$VOLUME/state.json" 2>/dev/null)
    [ -n "$now" ] && [ "$now" != "$SHOWN" ] || return 0
    SHOWN=$now
    printf '  %sstate.json  %s%s\n' "$DIM" "$now" "$OFF"
}

wait_for() { # SECONDS COMMAND…
    local until=$((SECONDS + $1))
    shift
    while :; do
        show_state
        "$@" >/dev/null 2>&1 && { show_state; return 0; }
        [ $SECONDS -lt $until ] || return 1
        kill -0 "$BRIDGE_PID" 2>/dev/null || return 1
        sleep "$POLL"
    done
}

post() { curl -sS --fail-with-body -m 20 -H 'Content-Type: application/json' -d "$2" "$CONTROL$1"; }
connected() { jq -e --arg pid "$BRIDGE_PID" '(.process.pid | tostring) == $pid and .session.state == "CONNECTED"' "$VOLUME/state.json"; }

# ---- the simulator --------------------------------------------------------------------------------
ENDPOINT='wss://web.whatsapp.com/ws/chat' NOISE_ROOT=
if [ -z "$WHATSAPP" ]; then
    rm -rf "$PRIVATE" # the simulator forgets its accounts when it ends, and so must the bridge
    mkdir -p "$PRIVATE"
    rm -f "$DIR/sim.json"
    "$BUILDDIR/wabridge-sim" --ready-file "$DIR/sim.json" >/dev/null 2>"$DIR/sim.log" &
    SIM_PID=$!
    for _ in $(seq 200); do
        [ -s "$DIR/sim.json" ] && break
        sleep "$POLL"
    done
    [ -s "$DIR/sim.json" ] || { BRIDGE_PID=$SIM_PID; fail "the simulator did not start"; }
    ENDPOINT=$(jq -r .endpoint "$DIR/sim.json")
    CONTROL=$(jq -r .control "$DIR/sim.json")
    NOISE_ROOT=$(jq -r .noise_root "$DIR/sim.json")
    post /accounts "{\"phone\":\"$OWNER\",\"name\":\"Demo Shop\",\"business\":\"Demo Shop\"}" >/dev/null || fail "no account"
    post /accounts "{\"phone\":\"$CUSTOMER\",\"name\":\"Wanjiru\"}" >/dev/null || fail "no contact"
    step "1. simulator" "speaks WhatsApp's protocol on $ENDPOINT"
else
    step "1. WhatsApp" "$ENDPOINT"
fi

# ---- the bridge -----------------------------------------------------------------------------------
cat >"$DIR/wabridge.yaml" <<YAML
tenant:
  id: demo
  business_name: Demo Shop
volume:
  path: $VOLUME
private:
  path: $PRIVATE
whatsapp:
  endpoint: $ENDPOINT
${NOISE_ROOT:+  noise_root: $NOISE_ROOT
}replies:
  file: $TOP/conf/replies/demo.yaml
heartbeat:
  interval_ms: 2000
YAML
"$BUILDDIR/wabridge" run -c "$DIR/wabridge.yaml" 2>"$DIR/bridge.log" &
BRIDGE_PID=$!
step "2. bridge" "tenant demo, pid $BRIDGE_PID, volume $VOLUME"

if [ -n "$WHATSAPP" ]; then
    wait_for 60 eval "test -s '$VOLUME/qr.png' || connected" || fail "no QR and no login"
    step "3. link" "WhatsApp on your phone: Settings, Linked devices, Link a device"
    connected >/dev/null 2>&1 || "$BUILDDIR/wabridge" qr --volume "$VOLUME"
    wait_for 300 connected || fail "nobody scanned the QR"
else
    wait_for 15 test -s "$VOLUME/qr.png" || fail "no QR was published"
    step "3. QR" "published as qr.png, qr.svg and qr.txt; wabridge qr draws it:"
    "$BUILDDIR/wabridge" qr --once --volume "$VOLUME" || fail "the QR could not be drawn"
    payload=$(zbarimg --nodbus --raw -q "$VOLUME/qr.png") || fail "qr.png does not decode"
    [ "$payload" = "$(cat "$VOLUME/qr.txt")" ] || fail "qr.png and qr.txt differ"
    step "4. scan" "the owner's phone scans qr.png"
    post "/accounts/$OWNER/scan" "$(jq -cn --arg qr "$payload" '{qr:$qr}')" >/dev/null || fail "the phone refused the QR"
    wait_for 20 connected || fail "the bridge did not log in"
    step "5. linked" "$(jq -r '"as \(.account.pn), \(.process.wa_version)"' "$VOLUME/state.json"); the QR files are gone: $(ls "$VOLUME" | grep -c '^qr\.' || :) left"

    text="Hello! What are your opening hours?"
    post "/accounts/$CUSTOMER/send" "$(jq -cn --arg to "$OWNER" --arg text "$text" '{to:$to,text:$text}')" >/dev/null || fail "the customer could not write"
    step "6. customer" "writes: $text"
    answer() { curl -sS -m 5 "$CONTROL/accounts/$CUSTOMER/messages?from=$OWNER" | jq -er '.messages[-1].text'; }
    wait_for 20 answer || fail "no reply arrived"
    step "7. customer" "reads: $(answer)"
    recorded() { "$BUILDDIR/wabridge" messages --volume "$VOLUME" --json | jq -es 'map(.direction) | contains(["IN","OUT"])'; }
    wait_for 10 recorded || fail "messages.db does not have both"
    step "8. messages.db" "both are recorded:"
    "$BUILDDIR/wabridge" messages --volume "$VOLUME" | sed 's/^/  /'
fi

cat <<TEXT

The interface is files:
  $VOLUME/state.json     what is going on       (watch jq .session '$VOLUME/state.json')
  $VOLUME/messages.db    every message          (wabridge messages --follow --volume '$VOLUME')
  touch $VOLUME/control/reload    reads $DIR/wabridge.yaml and the templates again
  touch $VOLUME/control/stop      ends it
TEXT

if [ -n "$ONCE" ]; then
    touch "$VOLUME/control/stop"
    status=0
    wait "$BRIDGE_PID" || status=$?
    BRIDGE_PID=
    [ $status = 0 ] || fail "stop ended with $status"
    step "9. stop" "$(jq -r '"\(.status), exit \(.exit.code): \(.exit.reason)"' "$VOLUME/state.json")"
    exit 0
fi
while kill -0 "$BRIDGE_PID" 2>/dev/null; do
    show_state
    sleep 1 &
    wait $!
done
status=0
wait "$BRIDGE_PID" || status=$?
BRIDGE_PID=
step "stopped" "exit $status"
exit $status
