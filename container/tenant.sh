#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# One tenant as one container: a thin face on docker (or podman) and on the tenant's directories.
set -eu

usage() {
    cat <<'TEXT'
usage: tenant.sh [--dry-run] VERB TENANT [ARGUMENT...]

  create   make the directories and the container; ARGUMENTs go to `docker create`
  start    start the container
  stop     end it gracefully (SIGTERM)
  reload   read the configuration again; waits for the acknowledgement
  status   the container's state, and state.json in words
  qr       draw the QR code until it is scanned
  logs     the log; ARGUMENTs go to `docker logs`
  remove   remove the container; the directories stay

environment:
  WABRIDGE_ENGINE   docker or podman (the first that is there)
  WABRIDGE_IMAGE    image (wabridge)
  WABRIDGE_ROOT     each tenant has a directory in there (/srv/wabridge):
                      TENANT/volume/   shared with the portal
                      TENANT/private/  the keys; for nobody else
                      TENANT/config/   wabridge.yaml and templates, if you want some
  WABRIDGE_RESTART  restart policy (on-failure)

--dry-run prints the commands and does nothing. WABRIDGE_ENDPOINT, WABRIDGE_NOISE_ROOT, LOG_LEVEL,
HEARTBEAT_INTERVAL_MS and RATE_LIMIT_MAX_PER_MINUTE are passed on by `create` when they are set.
TEXT
}

die() { # STATUS TEXT
    echo "tenant.sh: $2" >&2
    exit "$1"
}

run() {
    if [ -n "$dry" ]; then
        printf '%s' "$1"
        shift
        [ $# = 0 ] || printf " %s" "$@"
        echo
    else
        "$@"
    fi
}

engine() {
    for name in docker podman; do
        command -v "$name" >/dev/null 2>&1 && { echo "$name"; return; }
    done
    die 69 "neither docker nor podman is here"
}

directory() { # NAME MODE
    run install -d -o "$UID_GID" -g "$UID_GID" -m "$2" "$home/$1"
}

create() {
    run install -d -m 0755 "$root" "$home" "$home/config"
    directory volume 2750
    directory private 0700
    for name in WABRIDGE_ENDPOINT WABRIDGE_NOISE_ROOT LOG_LEVEL HEARTBEAT_INTERVAL_MS RATE_LIMIT_MAX_PER_MINUTE; do
        eval "[ -z \"\${$name:-}\" ]" || set -- "$@" --env "$name"
    done
    run "$engine" create --name "$container" --read-only --cap-drop=all --security-opt=no-new-privileges \
        --pids-limit=32 --memory=64m --restart="${WABRIDGE_RESTART:-on-failure}" \
        --env "TENANT_ID=$tenant" --volume "$home/volume:/volume" --volume "$home/private:/private" \
        --volume "$home/config:/etc/wabridge:ro" "$@" "$image"
}

status() {
    run "$engine" inspect --format '{{.Name}}: {{.State.Status}}, exit code {{.State.ExitCode}}' "$container"
    run "$engine" run --rm --network=none --read-only --cap-drop=all --volume "$home/volume:/volume:ro" \
        "$image" status --volume /volume
}

dry=
if [ "${1:-}" = --dry-run ]; then
    dry=1
    shift
fi
case ${1:-} in
-h | --help | help)
    usage
    exit 0
    ;;
esac
[ $# -ge 2 ] || { usage >&2; exit 64; }
verb=$1 tenant=$2
shift 2
case $tenant in
*[!A-Za-z0-9._-]* | .* | '') die 64 "a tenant's name is made of A-Z a-z 0-9 . _ - and does not begin with a dot" ;;
esac
UID_GID=10001
engine=${WABRIDGE_ENGINE:-$(engine)}
image=${WABRIDGE_IMAGE:-wabridge}
root=${WABRIDGE_ROOT:-/srv/wabridge}
home=$root/$tenant
container=wabridge-$tenant

case $verb in
create) create "$@" ;;
start) run "$engine" start "$container" ;;
stop) run "$engine" stop --time 10 "$container" ;;
reload) run "$engine" exec "$container" /usr/bin/wabridge ctl reload ;;
status) status ;;
qr) run "$engine" exec "$container" /usr/bin/wabridge qr ;;
logs) run "$engine" logs "$@" "$container" ;;
remove) run "$engine" rm "$container" ;;
*)
    usage >&2
    exit 64
    ;;
esac
