#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Without containers: what a service manager is told, what `make install` puts where, the unit, completion.
# Needs BUILDDIR, socat. Prints TAP.
. "$(dirname "$0")/lib.sh"

# ---- sd_notify -------------------------------------------------------------------------------------------
start_sim
account $PHONE "Service Shop"
HEARTBEAT_MS=200 write_config
export NOTIFY_SOCKET=$WORK/notify WATCHDOG_USEC=60000000
socat -u "UNIX-RECV:$NOTIFY_SOCKET" "OPEN:$WORK/told,creat,append" &
MANAGER=$!
trap 'kill $MANAGER 2>/dev/null; finish' EXIT
wait_for 10 test -S "$NOTIFY_SOCKET"
start_bridge
told() { tr -d '\0' <"$WORK/told" | grep -q "$1"; } # a datagram has no end of line
check "READY=1 once all is open" wait_for 10 told READY=1
check "… after the first state" told 'STATUS=STARTING, NONE.*READY=1'
check "the watchdog's time is that of state.json: 3 heartbeats and 2 s" told WATCHDOG_USEC=2600000
check "STATUS= follows the state" wait_for 10 told 'STATUS=QR_PENDING, QR_READY'
check "… to the end of linking" scan
check "… in the confined process, too" wait_for 15 told 'STATUS=RUNNING, CONNECTED'
beats() { [ "$(tr -d '\0' <"$WORK/told" | grep -o WATCHDOG=1 | wc -l)" -ge "$1" ]; }
check "WATCHDOG=1 with each heartbeat" wait_for 10 beats 5
kill -TERM "$BRIDGE_PID"
wait "$BRIDGE_PID"
equal "SIGTERM ends it with 0" 0 $?
BRIDGE_PID=
check "STOPPING=1 comes before the end" wait_for 5 told 'STOPPING=1'
unset NOTIFY_SOCKET WATCHDOG_USEC

# ---- make install ------------------------------------------------------------------------------------------
prefix=$(sed -n 's/^prefix = //p' "$BUILDDIR/Makefile")
check "make install" make -s -C "$BUILDDIR" install DESTDIR="$WORK/root"
root=$WORK/root$prefix
for path in bin/wabridge bin/wabridge-sim lib/systemd/system/wabridge@.service lib/sysusers.d/wabridge.conf lib/tmpfiles.d/wabridge.conf \
    share/bash-completion/completions/wabridge share/zsh/vendor-completions/_wabridge share/man/man1/wabridge.1 share/man/man5/wabridge.yaml.5 \
    share/man/man7/wabridge-volume.7 share/wabridge/replies/booking.yaml share/doc/wabridge/examples/wabridge.yaml; do
    check "… PREFIX/$path" test -s "$root/$path"
done

# ---- the unit ------------------------------------------------------------------------------------------------
unit=$root/lib/systemd/system/wabridge@.service
if command -v systemd-analyze >/dev/null; then
    sed "s|$prefix/bin/wabridge|$WORK/root&|" "$unit" >"$WORK/wabridge@shop-7.service"
    equal "systemd-analyze verify finds nothing" "" "$(systemd-analyze verify --man=no "$WORK/wabridge@shop-7.service" 2>&1 | grep -i wabridge)"
    exposure=$(systemd-analyze security --offline=yes --no-pager "$WORK/wabridge@shop-7.service" 2>/dev/null | sed -n 's/.*Overall exposure level.*: \([0-9.]*\).*/\1/p')
    check "its exposure is $exposure of 10: at most 2" awk "BEGIN { exit !(\"$exposure\" != \"\" && $exposure <= 2) }"
    # Groups hold groups; two levels are all that systemd has.
    members() { systemd-analyze syscall-filter "$@" 2>/dev/null | sed 's/^ *//' | grep -E '^[@a-z]'; }
    filter=$(sed -n 's/^SystemCallFilter=//p' "$unit")
    # shellcheck disable=SC2046,SC2086
    { echo "$filter" | tr ' ' '\n'; members $(echo "$filter" | grep -o '@[a-z-]*'); members $(members @system-service | grep '^@'); members @default; } |
        grep -v '^@' | sort -u >"$WORK/set"
    {
        grep -v '#define' "$TOP/src/bridge/seccomp.c" | grep -o 'SCMP_SYS([a-z0-9_]*)' | sed 's/.*(\(.*\))/\1/'
        grep -oh 'SYS_landlock_[a-z_]*' "$TOP/src/bridge/landlock.c" | sed 's/SYS_//'
        echo seccomp
    } | sort -u >"$WORK/calls"
    check "the lists of system calls were found" sh -c "[ \$(wc -l <'$WORK/calls') -gt 80 ] && [ \$(wc -l <'$WORK/set') -gt 200 ]"
    equal "the unit allows every call of the bridge" "" "$(comm -23 "$WORK/calls" "$WORK/set")"
else
    echo "# NOT RUN: no systemd-analyze"
fi
check "its exit codes that want a person are those of the manual" grep -q '^RestartPreventExitStatus=64 69 78 100$' "$unit"

# ---- completion ----------------------------------------------------------------------------------------------------
complete_bash() { # WORD…: what the last one is completed to
    PATH="$root/bin:$PATH" bash -c '. "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _wabridge; echo "${COMPREPLY[*]}"' - \
        "$root/share/bash-completion/completions/wabridge" "$@"
}
equal "bash: a verb" "status" "$(complete_bash wabridge stat)"
equal "bash: every verb" "$("$BUILDDIR/wabridge" --help | sed -n 's/^  \([a-z-]*\)  .*/\1/p' | sort | xargs)" "$(complete_bash wabridge '' | tr ' ' '\n' | sort | xargs)"
equal "bash: a command of ctl" "reload release" "$(complete_bash wabridge ctl re)"
equal "bash: an option of a verb" "--json" "$(complete_bash wabridge status --j)"
equal "bash: an option with a value" "--timeout-ms=" "$(complete_bash wabridge ctl --ti)"
equal "bash: no option that the verb does not have" "" "$(complete_bash wabridge health --foll)"
mkdir "$WORK/vol"
equal "bash: a directory" "$WORK/vol $WORK/volume" "$(complete_bash wabridge status --volume = "$WORK/vol" | tr ' ' '\n' | sort | xargs)"
if command -v zsh >/dev/null; then
    check "zsh: it can be loaded" zsh -fc "autoload -Uz compinit; fpath=($root/share/zsh/vendor-completions \$fpath); compinit -D -u; autoload +X _wabridge && [[ \$_comps[wabridge] = _wabridge ]]"
fi
summary
