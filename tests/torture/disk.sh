#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the bridge does when its disk does not do what it should: full, read-only, out of inodes, failing,
# slow. It stays up, says so, acknowledges nothing that it could not store, recovers by itself and loses
# nothing. SWEEP: how many runs in which one drawn call fails.
. "$(dirname "$0")/lib.sh"
SWEEP=${SWEEP:-12}
HEARTBEAT_MS=200 LIMIT=300
BROKEN="$WORK/broken"
MOUNTED=
clear_up() {
    finish
    [ -z "$MOUNTED" ] || { umount "$MOUNTED" && rmdir "$MOUNTED"; }
}
trap clear_up EXIT

up() { state_is .session.state CONNECTED; }
health() { "$BUILDDIR/wabridge" health "$@" --volume "$VOLUME"; }
unhealthy() { # what the bridge gave up meanwhile is taken again
    $BREAK
    health 2>&1 | grep -q "stale.*$STALE\|$STALE$"
}
said() { grep -q "\"event\":\"$1\"" "$WORK/bridge.log"; }
said_again() { # the same event with the same message
    jq -rR "fromjson? | select(.event == \"$1\" and .level == \"warn\") | .message // .reason" "$WORK/bridge.log" | sort | uniq -d
}
times_said() { grep -c "\"event\":\"$1\"" "$WORK/bridge.log"; }
pause_bridge() { # orderly, whatever the disk says
    kill -TERM "$BRIDGE_PID"
    life_ends
}

trickle() { # contacts who write all the time, answered or not
    ROUND=$((ROUND + 1)) ROUND_MESSAGES=$1
    post /load "{\"to\":\"$PHONE\",\"contacts\":20,\"messages\":$1,\"rate\":100,\"prefix\":\"round$ROUND\"}" >/dev/null
}

acked_within_recorded() { # D1: read in this order, so that it can only err on the safe side
    local acked
    acked=$(load acked)
    [ "$acked" -le "$(rows "select count(*) from messages where text like 'round$ROUND %'")" ]
}

# broken_disk NAME WHAT-THE-LOG-SAYS: $BREAK and $MEND do it; STALE=stale when state.json cannot be written.
broken_disk() {
    : >"$WORK/bridge.log"
    start_bridge
    wait_for 10 up || not_ok "$1: the bridge starts"
    trickle 300
    wait_for 10 past replied_to 20 || not_ok "$1: answers before"
    $BREAK
    check "$1: the log says so" wait_for 15 said "$2"
    [ -z "${STALE:-}" ] || check "$1: health notices" wait_for 15 unhealthy
    [ "$2" != store_failed ] || check "$1: a session after the first failed the same way" wait_for 10 retried_twice
    check "$1: what is acknowledged is recorded" acked_within_recorded
    check "$1: all is written meanwhile" wait_for 20 past sent 300
    check "$1: it is still the same process" kill -0 "$BRIDGE_PID"
    equal "$1: the log says it once in the same words" "" "$(said_again "$2")"
    $MEND
    wait_for 30 past replied_to 300 || not_ok "$1: it recovers by itself" "$(get /load)"
    check "$1: health is good again" wait_for 15 health --ready
    pause_bridge
    equal "$1: it ends in order" 0 "$LIFE"
    round_ends
    pause_bridge
}
retried_twice() { [ "$(times_said dialling)" -ge 3 ]; }

shim_breaks() { : >"$BROKEN"; }
shim_mends() { rm -f "$BROKEN"; }
shim_disk() { # NAME ERRNO OPERATIONS DIRECTORY EVENT
    harm FAULTS_DIRS="$(realpath "$4")" FAULTS_FAIL="$2" FAULTS_OPS="$3" FAULTS_WHILE="$BROKEN"
    BREAK=shim_breaks MEND=shim_mends broken_disk "$1" "$5"
}

linked_bridge
pause_bridge

# ---- as long as it lasts -------------------------------------------------------------------------------
STALE=stale shim_disk "shared volume full" 28 wot "$VOLUME" store_failed
shim_disk "private volume full" 28 wot "$PRIVATE" store_failed
STALE=stale shim_disk "shared volume read-only" 30 wotrus "$VOLUME" store_failed
shim_disk "private volume read-only" 30 wotrus "$PRIVATE" store_failed
STALE=stale shim_disk "shared volume fails" 5 wotrus "$VOLUME" store_failed
shim_disk "private volume fails" 5 wotrus "$PRIVATE" store_failed
STALE=stale shim_disk "shared volume out of inodes" 28 o "$VOLUME" state_not_published

# ---- slow ------------------------------------------------------------------------------------------------
harm FAULTS_SLOW=500
start_bridge
check "slow sync: it connects" wait_for 30 up
round_starts 20 5
check "slow sync: everything is answered" wait_for 60 past replied_to 20
check "slow sync: the heartbeat stays fresh" health --ready
pause_bridge
round_ends
pause_bridge

# ---- one call --------------------------------------------------------------------------------------------
for ((i = 1; i <= SWEEP; i++)); do
    draw 300
    n=$((DRAWN + 1))
    draw 2
    errno=$((DRAWN ? 28 : 5))
    harm FAULTS_FAIL=$errno FAULTS_AT=$n
    round_starts 60
    start_bridge
    over() { past replied_to 60 || ! kill -0 "$BRIDGE_PID"; }
    wait_for 30 over || not_ok "call $n failed with $errno: it goes on" "$(get /load)"
    pause_bridge 2>/dev/null
    case $LIFE in
    0 | 69) ;;
    *) STRANGE=$((STRANGE + 1)); echo "# call $n failed with $errno: ended with $LIFE" ;;
    esac
    look
    round_ends
    pause_bridge
done

# ---- a real small disk -----------------------------------------------------------------------------------
fill_disk() { dd if=/dev/zero of="$MOUNTED/fill" bs=1k oflag=append conv=notrunc 2>/dev/null || true; }
empty_disk() { rm -f "$MOUNTED/fill"; }
use_inodes() {
    mkdir -p "$MOUNTED/fill"
    local i=0
    while [ -e "$MOUNTED/fill/$i" ] || : 2>/dev/null >"$MOUNTED/fill/$i"; do i=$((i + 1)); done
}
free_inodes() { rm -rf "$MOUNTED/fill"; }
real_disk() { # OPTIONS
    MOUNTED=$(mktemp -d "${TMPDIR:-/tmp}/wabridge-disk-XXXXXX")
    mount -t tmpfs -o "$1" tmpfs "$MOUNTED" 2>/dev/null || {
        rmdir "$MOUNTED"
        MOUNTED=
        return 1
    }
    cp -a "$VOLUME/." "$MOUNTED/"
    VOLUME=$MOUNTED write_config
}

if real_disk size=6m,nr_inodes=200; then
    SAVED=$VOLUME VOLUME=$MOUNTED
    no_harm
    BREAK=fill_disk MEND=empty_disk STALE="is full" broken_disk "a full tmpfs" store_failed
    BREAK=use_inodes MEND=free_inodes STALE="no inodes" broken_disk "a tmpfs without inodes" state_not_published
    cp -a "$MOUNTED/." "$SAVED/"
    VOLUME=$SAVED
    write_config
else
    echo "# not run: a real full disk (mounting a tmpfs needs root)"
fi

no_harm
start_bridge
tally "faults=$((10 + SWEEP))"
summary
status=$?
echo "$TALLY"
exit $status
