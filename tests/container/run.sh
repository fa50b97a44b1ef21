#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Two tenants side by side in containers, with the simulator in a third, seen through tenant.sh, the
# volumes and the engine. Needs the images (images.sh). Prints TAP.
. "$(dirname "$0")/lib.sh"

ONE=4915100000011 TWO=4915100000012 ANN=4915100000013
start_sim
account $ONE "Shop One"
account $TWO "Shop Two"
account $ANN Ann

# ---- the image --------------------------------------------------------------------------------------
bytes=$(pod image inspect --format '{{.Size}}' localhost/wabridge)
check "the image has $bytes bytes, less than 20 MB" test "$bytes" -lt 20000000
files() { pod create --name "$RUN-list" localhost/wabridge >/dev/null && pod export "$RUN-list" | tar -t; pod rm "$RUN-list" >/dev/null; }
files >"$WORK/files"
echo "# contents: $(grep -v -e '/$' -e zoneinfo/ "$WORK/files" | xargs), $(grep -c 'zoneinfo/.*[^/]$' "$WORK/files") time zones"
check "it has no shell, no package manager, no other program" \
    sh -c "grep -q usr/bin/wabridge '$WORK/files' && ! grep -E 'bin/.*[^/]$' '$WORK/files' | grep -v '^usr/bin/wabridge$'"
check "it has certificates, time zones and templates" \
    sh -c "grep -q 'etc/ssl/certs/[0-9a-f]*\.0' '$WORK/files' && grep -q zoneinfo/Africa/Nairobi '$WORK/files' && grep -q wabridge/replies/.*yaml '$WORK/files'"
config() { pod image inspect --format "{{$1}}" localhost/wabridge; }
equal "fixed user, stop signal, volumes" "10001:10001 SIGTERM map[/private:{} /volume:{}]" "$(config '.Config.User') $(config '.Config.StopSignal') $(config .Config.Volumes)"
pod create --name "$RUN-debug" localhost/wabridge-debug none >/dev/null
check "the debug symbols are an artefact of their own" sh -c "CONTAINERS_CONF='$CONTAINERS_CONF' podman export $RUN-debug | tar -t | grep -qx wabridge.debug"
check "the labels name version and licence" sh -c "echo '$(config .Labels)' | grep -q 'image.licenses:GPL-3.0-or-later.*image.version:'"
equal "the health check is the binary's own" "[CMD /usr/bin/wabridge health]" "$(config .Config.Healthcheck.Test)"

# ---- two tenants --------------------------------------------------------------------------------------
create() {
    tenant create "$RUN-$1" >/dev/null && tenant start "$RUN-$1" >/dev/null
}
check "dry run prints the command and makes nothing" \
    sh -c "'$TOP/container/tenant.sh' --dry-run create x-y | grep -q -- '--read-only --cap-drop=all --security-opt=no-new-privileges' && ! test -e '$WABRIDGE_ROOT/x-y'"
# As a ConfigMap is mounted: the file is a link through ..data, which is replaced as a whole.
config_map() { # VERSION LEVEL
    local dir=$WABRIDGE_ROOT/$RUN-one/config
    mkdir -p "$dir/..$1" && echo "log: {level: $2}" >"$dir/..$1/wabridge.yaml" && ln -s "..$1" "$dir/..data_tmp" && mv -T "$dir/..data_tmp" "$dir/..data" &&
        ln -sfn ..data/wabridge.yaml "$dir/wabridge.yaml"
}
mkdir -p "$WABRIDGE_ROOT" && chmod 755 "$WABRIDGE_ROOT"
config_map v1 info
check "tenant one is created and started" create one
check "tenant two is created and started" create two
check "one shows a QR" wait_for 20 is one .status QR_PENDING
check "two shows a QR" wait_for 20 is two .status QR_PENDING
check "healthy while a QR waits" pod healthcheck run "$(container one)"
equal "… but not ready" 1 "$(verb one health --ready >/dev/null; echo $?)"
tenant qr "$RUN-one" >"$WORK/qr.txt" &
QR=$!
check "tenant.sh qr draws it" wait_for 10 grep -q '[█▀▄]' "$WORK/qr.txt"
check "one is scanned" scan_for one $ONE
wait $QR
equal "tenant.sh qr ends when it is linked" 0 $?
check "one is connected" wait_for 20 is one .session.state CONNECTED
equal "two still waits for its own phone" QR_PENDING "$(state_of two .status)"
check "two is scanned" scan_for two $TWO
check "two is connected" wait_for 20 is two .session.state CONNECTED
check "ready when connected" verb one health --ready
say $ANN $ONE "for one" >/dev/null
say $ANN $TWO "for two" >/dev/null
rows_of() { sqlite3 -readonly -cmd '.timeout 5000' "$(volume "$1")/messages.db" "$2"; }
answered() { [ "$(rows_of "$1" "select count(*) from messages where direction='OUT' and status in ('sent','delivered','read')")" = 1 ]; }
check "one answers" wait_for 20 answered one
check "two answers" wait_for 20 answered two
equal "each has its own messages only" "for one|for two" \
    "$(rows_of one "select text from messages where direction='IN'")|$(rows_of two "select text from messages where direction='IN'")"

# ---- what the container may not ------------------------------------------------------------------------
status_of() { grep "^$1:" "/proc/$(pod inspect --format '{{.State.Pid}}' "$(container one)")/status" | cut -f2; }
equal "the process has no capability" 0000000000000000 "$(status_of CapEff)"
equal "… cannot gain any" 1 "$(status_of NoNewPrivs)"
equal "… and runs as 10001" 10001 "$(status_of Uid | cut -f1)"
check "… confined by itself, with the engine's filter around it" sh -c "grep -Eq '\"event\":\"confined(_in_part)?\".*\"seccomp\":true' '$(volume one)/logs/wabridge.log'"
check "the root is read-only" sh -c "grep -E ' / overlay ro' /proc/$(pod inspect --format '{{.State.Pid}}' "$(container one)")/mounts"
check "there is no shell to start" sh -c "! CONTAINERS_CONF='$CONTAINERS_CONF' podman exec $(container one) /bin/sh -c true"
equal "keys are for the owner only" "700 10001" "$(stat -c '%a %u' "$WABRIDGE_ROOT/$RUN-one/private")"

# ---- files ---------------------------------------------------------------------------------------------
acked() { [ "$(jq -r .result "$(volume "$1")/control/ack/$2.json" 2>/dev/null)" = "$3" ]; }
touch "$(volume one)/control/reload"
check "touch control/reload is acked" wait_for 10 acked one reload done
check "tenant.sh reload waits for its ack" tenant reload "$RUN-one"
config_map v2 debug
check "reload takes a ConfigMap whose ..data was swapped" sh -c "'$TOP/container/tenant.sh' reload $RUN-one 2>/dev/null | grep -q log.level"
check "tenant.sh logs has the log" sh -c "'$TOP/container/tenant.sh' logs $RUN-one 2>&1 | grep -q '\"event\":\"started\"'"
check "tenant.sh status speaks" sh -c "'$TOP/container/tenant.sh' status $RUN-one 2>/dev/null | grep -q RUNNING"
touch "$(volume one)/control/stop"
check "touch control/stop ends the container" wait_for 10 ended "$(container one)"
equal "… with exit code 0" 0 "$(exit_code "$(container one)")"
check "… and two runs on" is two .session.state CONNECTED
check "a stopped tenant is not healthy" sh -c "! CONTAINERS_CONF='$CONTAINERS_CONF' podman run --rm -v '$(volume one)':/volume:ro localhost/wabridge health"
say $ANN $ONE "while away" >/dev/null
check "one starts again" tenant start "$RUN-one"
again() { [ "$(rows_of one "select count(*) from messages where direction='OUT' and status in ('sent','delivered','read')")" = 2 ]; }
check "its session was kept: it answers what came meanwhile" wait_for 20 again

# ---- PID 1 -----------------------------------------------------------------------------------------------
pid=$(pod inspect --format '{{.State.Pid}}' "$(container one)")
equal "it is PID 1 of its container" 1 "$(sed -n 's/^NSpid:.*[[:space:]]//p' "/proc/$pid/status")"
start=$EPOCHREALTIME
kill -TERM "$pid"
check "SIGTERM to PID 1 ends it" wait_for 10 test ! -e "/proc/$pid"
took=$(awk "BEGIN { print $EPOCHREALTIME - $start }")
check "… within a second ($took s)" awk "BEGIN { exit !($took < 1) }"
check "the engine sees the end" wait_for 10 ended "$(container one)"
equal "… with exit code 0" "0 SIGTERM" "$(exit_code "$(container one)") $(state_of one .exit.reason)"
check "tenant.sh stop of a running one" tenant stop "$RUN-two"
equal "… ends with 0" 0 "$(exit_code "$(container two)")"
check "two starts again" tenant start "$RUN-two"
check "two is connected again" wait_for 20 is two .session.state CONNECTED
check "tenant.sh remove leaves the directories" sh -c "'$TOP/container/tenant.sh' remove $RUN-one >/dev/null 2>&1 && test -e '$(volume one)/messages.db'"

# ---- wrong permissions ------------------------------------------------------------------------------------
mkdir -p "$WORK/bad/volume" "$WORK/bad/private"
podman run --rm --name "$RUN-bad" --read-only --cap-drop=all -e TENANT_ID=x -v "$WORK/bad/volume:/volume" -v "$WORK/bad/private:/private" \
    localhost/wabridge >"$WORK/bad.log" 2>&1
equal "directories of root are refused with 69" 69 $?
check "… with path, uid and the command that mends it" grep -Eq "/private.*10001:10001.*mend: chown 10001:10001 /private" "$WORK/bad.log"
install -d -o 10001 -g 10001 -m 0700 "$WORK/bad/private"
podman run --rm --name "$RUN-bad" --read-only --cap-drop=all -e TENANT_ID=x -v "$WORK/bad/volume:/volume:ro" -v "$WORK/bad/private:/private" \
    localhost/wabridge >"$WORK/bad.log" 2>&1
equal "a read-only volume is refused with 69" 69 $?
check "… and says so" grep -q "mount it writable" "$WORK/bad.log"
podman run --rm --name "$RUN-bad" --read-only --cap-drop=all -e TENANT_ID=x -e WABRIDGE_ENDPOINT -e WABRIDGE_NOISE_ROOT \
    -v "$(volume two):/volume" -v "$WABRIDGE_ROOT/$RUN-two/private:/private" localhost/wabridge >"$WORK/bad.log" 2>&1
equal "a second container on one tenant's directories exits 100" 100 $?
podman run --rm --name "$RUN-bad" --read-only --cap-drop=all localhost/wabridge >"$WORK/bad.log" 2>&1
equal "without a tenant's name it exits 78" 78 $?
check "two was not disturbed by any of it" is two .session.state CONNECTED

# ---- the probes' table in docs/operations.md ---------------------------------------------------------------
probed() { # LIVE READY: what both say, from beside the tenant
    local live ready
    pod run --rm --network=none -v "$(volume two):/volume:ro" localhost/wabridge health >/dev/null
    live=$?
    pod run --rm --network=none -v "$(volume two):/volume:ro" localhost/wabridge health --ready >/dev/null
    ready=$?
    [ "$live $ready" = "$1 $2" ]
}
check "RUNNING: alive and ready" probed 0 0
pod pause "$(container two)" >/dev/null
check "hanging: neither" wait_for 20 probed 1 1
pod unpause "$(container two)" >/dev/null
check "going on: both again" wait_for 20 probed 0 0
pod stop -t 5 "$RUN-sim" >/dev/null
check "the server goes: ERROR" wait_for 20 is two .status ERROR
check "ERROR: alive, not ready" wait_for 10 probed 0 1
summary
