#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The Debian packages, built from the tree and installed in a Debian with systemd as PID 1; two tenants as
# services there. Needs the base image (images.sh) and debhelper. Prints TAP.
. "$(dirname "$0")/lib.sh"
ONE=4915100000041 BOX=$RUN-box
export DEB_BUILD_OPTIONS=${DEB_BUILD_OPTIONS:-nocheck}

# ---- the packages ------------------------------------------------------------------------------------------
mkdir -p "$WORK/box" "$WORK/deb/wabridge"
(cd "$TOP" && cp -r --parents src conf docs tests container configure.ac Makefile.am README.md SECURITY.md LICENSE bootstrap.sh .ci .dockerignore \
    .clang-format .editorconfig -t "$WORK/deb/wabridge" && rm -rf "$WORK/deb/wabridge/tests/interop/node_modules")
ln -s container/debian "$WORK/deb/wabridge/debian"
check "dpkg-buildpackage" sh -c "cd '$WORK/deb/wabridge' && dpkg-buildpackage -us -uc -b >'$WORK/deb.log' 2>&1 || { tail -n 20 '$WORK/deb.log'; exit 1; }"
[ "$FAILED" = 0 ] || { summary; exit; }
package() { echo "$WORK"/deb/"$1"_[0-9]*.deb; }
contents() { dpkg-deb -c "$(package "$1")" | awk '{ print $6 }'; }
check "wabridge has the unit, the user, the manual, templates and completion" sh -c "echo '$(contents wabridge)' | tr ' ' '\n' |
    grep -cE 'wabridge@.service|sysusers.d/wabridge.conf|tmpfiles.d/wabridge.conf|man1/wabridge.1.gz|replies/booking.yaml|completions/wabridge|_wabridge' | grep -qx 7"
check "it depends on the protobuf-c it was built for" sh -c "dpkg-deb -f '$(package wabridge)' Depends | grep -q libprotobuf-c1"
check "debug symbols are packages of their own" test -s "$(package wabridge-dbgsym)"

# ---- a machine ------------------------------------------------------------------------------------------------
cp "$(package wabridge)" "$(package wabridge-sim)" "$WORK/box/"
cat >"$WORK/box/Dockerfile" <<'DOCKER'
FROM docker.io/library/debian:bookworm-slim
COPY *.deb /tmp/
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd dbus jq curl procps \
    /tmp/wabridge_*.deb /tmp/wabridge-sim_*.deb >/dev/null && rm -rf /var/lib/apt/lists/* /tmp/*.deb
DOCKER
check "they are installed in a Debian" sh -c "buildah bud --runtime runc --network=host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
    --format docker -t localhost/$BOX '$WORK/box' >'$WORK/box.log' 2>&1 || { tail -n 5 '$WORK/box.log'; exit 1; }"
[ "$FAILED" = 0 ] || { summary; exit; }
pod run -d --name "$BOX" --systemd=always --privileged "localhost/$BOX" /lib/systemd/systemd >/dev/null
in_box() { timeout 60 podman exec "$BOX" "$@" 2>>"$WORK/podman.log"; }
if ! wait_for 20 in_box systemctl list-units; then
    echo "# NOT RUN: systemd does not start in a container here"
    pod rm -f "$BOX" >/dev/null
    pod rmi -f "localhost/$BOX" >/dev/null
    summary
    exit
fi
pod exec -d "$BOX" sh -c 'exec wabridge-sim --ready-file /run/sim.json' >/dev/null
wait_for 10 in_box test -s /run/sim.json
in_box cat /run/sim.json >"$WORK/sim.json"
CONTROL=$(jq -r .control "$WORK/sim.json")
account $ONE "Shop One"
for name in one two; do
    printf 'whatsapp:\n  endpoint: %s\n  noise_root: %s\nheartbeat: {interval_ms: 1000}\nreconnect: {initial_ms: 100}\n' \
        "$(jq -r .endpoint "$WORK/sim.json")" "$(jq -r .noise_root "$WORK/sim.json")" | timeout 20 podman exec -i "$BOX" sh -c "mkdir /etc/wabridge/$name; cat >/etc/wabridge/$name/wabridge.yaml"
done

# ---- tenants as services -------------------------------------------------------------------------------------------
unit() { in_box systemctl show -p "$2" --value "wabridge@$1"; }
unit_is() { [ "$(unit "$1" "$2")" = "$3" ]; } # TENANT PROPERTY VALUE
field() { in_box jq -r "$2" "/var/lib/wabridge/$1/volume/state.json"; }
check "systemctl start returns when they are ready" in_box systemctl start wabridge@one wabridge@two
equal "they are active" "active active" "$(unit one ActiveState) $(unit two ActiveState)"
check "the status is the state" wait_for 20 unit_is one StatusText "QR_PENDING, QR_READY"
in_box cat /var/lib/wabridge/one/volume/qr.png >"$WORK/qr.png"
check "one is scanned" post "/accounts/$ONE/scan" "$(jq -cn --arg qr "$(zbarimg --nodbus --raw -q "$WORK/qr.png")" '{qr:$qr}')"
check "… and connected" wait_for 20 unit_is one StatusText "RUNNING, CONNECTED"
check "the processes are confined under the unit's own limits" in_box grep -Eq '"event":"confined(_in_part)?".*"seccomp":true' /var/lib/wabridge/one/volume/logs/wabridge.log
equal "a tenant sees itself only" one "$(in_box ls "/proc/$(unit one MainPID)/root/var/lib/wabridge")"
equal "… and its configuration only" one "$(in_box ls "/proc/$(unit one MainPID)/root/etc/wabridge")"
equal "modes of the directories" "750 2750 700 2770" \
    "$(in_box stat -c %a /var/lib/wabridge/one /var/lib/wabridge/one/volume /var/lib/wabridge/one/private /var/lib/wabridge/one/volume/control | xargs)"
in_box useradd -G wabridge portal
check "a portal in the group reads the volume" in_box runuser -u portal -- cat /var/lib/wabridge/one/volume/state.json
check "… not the keys" sh -c "! podman exec $BOX runuser -u portal -- ls /var/lib/wabridge/one/private"
check "reload waits for its answer" in_box systemctl reload wabridge@one
in_box sh -c 'cp /etc/wabridge/one/wabridge.yaml /root/; echo "no_such_key: 1" >>/etc/wabridge/one/wabridge.yaml'
check "… and fails when the configuration is refused" sh -c "! timeout 30 podman exec $BOX systemctl reload wabridge@one"
check "… which changes nothing else" unit_is one StatusText "RUNNING, CONNECTED"
in_box cp /root/wabridge.yaml /etc/wabridge/one/wabridge.yaml

# ---- ends -------------------------------------------------------------------------------------------------------------
again() { [ "$(unit "$1" NRestarts)" -ge "$2" ] && unit_is "$1" StatusText "$3"; }
in_box systemctl kill --kill-whom=main -s KILL wabridge@one
check "kill -9: it is started again, and connected" wait_for 30 again one 1 "RUNNING, CONNECTED"
in_box sh -c "kill -STOP $(unit two MainPID)"
check "a process that hangs is killed by the watchdog and started again" wait_for 40 again two 1 "QR_PENDING, QR_READY"
in_box touch /var/lib/wabridge/one/volume/control/stop
check "control/stop: it stays stopped" wait_for 20 unit_is one ActiveState inactive
equal "… with 0" "0 success" "$(unit one ExecMainStatus) $(unit one Result)"
in_box sh -c 'echo "no_such_key: 1" >>/etc/wabridge/two/wabridge.yaml'
in_box systemctl restart wabridge@two
check "78 is not tried again" wait_for 20 unit_is two ActiveState failed
equal "… and says so" 78 "$(unit two ExecMainStatus)"
pod rm -f -t 2 "$BOX" >/dev/null
pod rmi -f "localhost/$BOX" >/dev/null
summary
