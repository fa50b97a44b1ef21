# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash disable=SC2034
# Tenants in containers: what the container tests share on top of tests/e2e/lib.sh. Every container and pod
# is named after this run and removed at its end.
BUILDDIR=unused # the programs are those in the images
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"

RUN=wbtest$$
# Confined hosts want the runtime and the limits said; the network is the host's, for the simulator is on loopback.
cat >"$WORK/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
[engine]
runtime = "runc"
events_logger = "file"
CONF
export CONTAINERS_CONF=$WORK/containers.conf
export WABRIDGE_ENGINE=podman WABRIDGE_IMAGE=localhost/wabridge WABRIDGE_ROOT=$WORK/tenants HEARTBEAT_INTERVAL_MS=500
chmod 755 "$WORK" # the tenants have other users

pod() { podman "$@" 2>>"$WORK/podman.log"; }
tenant() { "$TOP/container/tenant.sh" "$@" 2>>"$WORK/podman.log"; }

remove_containers() {
    local name
    for name in $(pod ps -a --format '{{.Names}}' | grep "$RUN"); do
        pod logs "$name" >"$WORK/$name.log" 2>&1
        pod rm -f -t 1 "$name" >/dev/null
    done
    finish
}
trap remove_containers EXIT

start_sim() {
    pod run -d --name "$RUN-sim" --read-only --cap-drop=all localhost/wabridge-sim "$@" >/dev/null
    wait_for 10 eval "pod logs $RUN-sim | grep -q noise_root" || { echo "# the simulator did not start"; exit 1; }
    pod logs "$RUN-sim" | grep noise_root >"$WORK/sim.json"
    WABRIDGE_ENDPOINT=$(jq -r .endpoint "$WORK/sim.json")
    WABRIDGE_NOISE_ROOT=$(jq -r .noise_root "$WORK/sim.json")
    CONTROL=$(jq -r .control "$WORK/sim.json")
    export WABRIDGE_ENDPOINT WABRIDGE_NOISE_ROOT
}

# With the tenant's name first: its container, its volume, its state, a scan by a phone.
container() { echo "wabridge-$RUN-$1"; }
volume() { echo "$WABRIDGE_ROOT/$RUN-$1/volume"; }
state_of() { jq -r "$2 // \"\"" "$(volume "$1")/state.json" 2>/dev/null; }
is() { [ "$(state_of "$1" "$2")" = "$3" ]; } # TENANT FIELD VALUE
scan_for() { # TENANT PHONE
    wait_for 10 test -s "$(volume "$1")/qr.png" || return 1
    post "/accounts/$2/scan" "$(jq -cn --arg qr "$(zbarimg --nodbus --raw -q "$(volume "$1")/qr.png")" '{qr:$qr}')"
}
replied() { # CONTACT PHONE TEXT
    arrived "$1" "$2" | jq -e --arg t "$3" '[.messages[] | select(.text == $t)] | length == 1'
}
exit_code() { pod inspect --format '{{.State.ExitCode}}' "$1"; }
running() { [ "$(pod inspect --format '{{.State.Status}}' "$1")" = running ]; }
ended() { ! running "$1"; }
verb() { # TENANT ARGUMENT…: a verb of the binary, inside the tenant's container
    local name
    name=$(container "$1")
    shift
    pod exec "$name" /usr/bin/wabridge "$@"
}
