# SPDX-License-Identifier: GPL-3.0-or-later
# What the end-to-end scripts share: a simulator, a bridge, its volume, waiting with a deadline, TAP.
# Needs BUILDDIR (wabridge, wabridge-sim), curl, jq, sqlite3. Only processes started here are ended.

set -u
: "${BUILDDIR:?set BUILDDIR to the build directory}"
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
WORK=$(mktemp -d "${TMPDIR:-/tmp}/wabridge-e2e-XXXXXX")
SIM_PID= BRIDGE_PID=
PASSED=0 FAILED=0
POLL=0.02 # seconds between two looks at a condition
PHONE=4915100000001

finish() {
    local pid
    for pid in $BRIDGE_PID $SIM_PID; do
        kill "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    if [ "$FAILED" = 0 ] && [ -z "${KEEP:-}" ]; then
        rm -rf "$WORK"
    else
        echo "# logs and volume: $WORK"
    fi
}
trap finish EXIT
trap 'exit 130' INT TERM

# ---- TAP -----------------------------------------------------------------------------------------
ok() {
    PASSED=$((PASSED + 1))
    echo "ok $((PASSED + FAILED)) - $1"
}

not_ok() {
    FAILED=$((FAILED + 1))
    echo "not ok $((PASSED + FAILED)) - $1"
    [ $# -lt 2 ] || printf '%s\n' "$2" | sed 's/^/# /'
}

# check NAME COMMAND…: the command's exit status decides.
check() {
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$* -> $out"; fi
}

# equal NAME WANT GOT
equal() {
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "wanted: $2
got: $3"; fi
}

summary() {
    echo "1..$((PASSED + FAILED))"
    echo "$PASSED passed, $FAILED failed"
    [ "$FAILED" = 0 ]
}

# ---- waiting --------------------------------------------------------------------------------------
# wait_for SECONDS COMMAND…: polls until it succeeds; fails at the deadline, which SLOW multiplies.
wait_for() {
    local until=$((SECONDS + $1 * ${SLOW:-1}))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || return 1
        sleep "$POLL"
    done
}

# ---- simulator ------------------------------------------------------------------------------------
start_sim() {
    "$BUILDDIR/wabridge-sim" --ready-file "$WORK/sim.json" "$@" >"$WORK/sim.out" 2>"$WORK/sim.log" &
    SIM_PID=$!
    wait_for 10 test -s "$WORK/sim.json" || { echo "# the simulator did not start"; cat "$WORK/sim.log"; exit 1; }
    ENDPOINT=$(jq -r .endpoint "$WORK/sim.json")
    CONTROL=$(jq -r .control "$WORK/sim.json")
    NOISE_ROOT=$(jq -r .noise_root "$WORK/sim.json")
}

get() { curl -sS --fail-with-body -m 30 "$CONTROL$1"; }
post() { curl -sS --fail-with-body -m 30 -H 'Content-Type: application/json' -d "$2" "$CONTROL$1"; }

account() { post /accounts "{\"phone\":\"$1\",\"name\":\"$2\"}" >/dev/null; }
say() { post "/accounts/$1/send" "$(jq -cn --arg to "$2" --arg text "$3" '{to:$to,text:$text}')" | jq -r .id; }
arrived() { get "/accounts/$1/messages?from=$2"; }

# ---- bridge ---------------------------------------------------------------------------------------
VOLUME="$WORK/volume" PRIVATE="$WORK/private"
mkdir -p "$VOLUME" "$PRIVATE"

write_config() {
    cat >"$WORK/replies.yaml" <<'YAML'
language: en
intents:
  - name: hours
    keywords: [hours, open]
    reply: "We are open from 9 to 17."
fallback:
  reply: "You wrote: {message}"
YAML
    cat >"$WORK/wabridge.yaml" <<YAML
tenant:
  id: e2e
  business_name: E2E Shop
volume:
  path: $VOLUME
private:
  path: $PRIVATE
whatsapp:
  endpoint: $ENDPOINT
  noise_root: $NOISE_ROOT
replies:
  file: $WORK/replies.yaml
  queue_per_chat: ${QUEUE_PER_CHAT:-20}
  ping_pong_messages: 0
rate_limit:
  max_per_minute: 0
heartbeat:
  interval_ms: ${HEARTBEAT_MS:-500}
reconnect:
  initial_ms: 50
  max_ms: 1000
YAML
}

start_bridge() {
    "${WRAP[@]}" "$BUILDDIR/wabridge" run $SANDBOX -c "$WORK/wabridge.yaml" >>"$WORK/bridge.out" 2>>"$WORK/bridge.log" &
    BRIDGE_PID=$!
}
# In front of the bridge, from the environment: WRAP="valgrind …". SANDBOX=--no-sandbox leaves the confinement out.
SANDBOX=${SANDBOX-}
read -ra WRAP <<<"${WRAP:-env}"

state() { jq -r "$1 // \"\"" "$VOLUME/state.json" 2>/dev/null; }
state_is() { [ "$(state "$1")" = "$2" ]; }
connected() { state_is .session.state CONNECTED && state_is .process.pid "$BRIDGE_PID"; }
rows() { sqlite3 -cmd '.timeout 5000' "file:$VOLUME/messages.db?mode=ro" "$1"; }
ack_of() { jq -r "$2" "$VOLUME/control/ack/$1.json" 2>/dev/null; }

# Lets the phone of $PHONE scan the published picture.
scan() {
    wait_for 10 test -s "$VOLUME/qr.png" || return 1
    post "/accounts/$PHONE/scan" "$(jq -cn --arg qr "$(zbarimg --nodbus --raw -q "$VOLUME/qr.png")" '{qr:$qr}')" >"$WORK/scan.json"
}

stop_bridge() {
    touch "$VOLUME/control/stop"
    local status=0
    wait "$BRIDGE_PID" || status=$?
    BRIDGE_PID=
    return $status
}

ctl() { "$BUILDDIR/wabridge" ctl --volume "$VOLUME" "$@"; }

# Another account and an empty volume, until its QR is shown (shows_qr is the script's).
new_tenant() { # PHONE NAME
    [ -z "$BRIDGE_PID" ] || stop_bridge
    PHONE=$1
    rm -rf "$VOLUME" "$PRIVATE"
    mkdir -p "$VOLUME" "$PRIVATE"
    account "$PHONE" "$2"
    start_bridge
    wait_for 10 shows_qr || not_ok "$2: a QR is shown" "$(state .status) $(state .last_error.message)"
}
