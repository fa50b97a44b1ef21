#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# What the bridge alone costs: time to the QR and to CONNECTED, memory, idle CPU, messages, fsyncs. Prints
# a table and judges nothing; it fails only when something does not work at all. RUNS (5), IDLE_SECONDS
# (60), MESSAGES (10000), CONTACTS (100); TMPDIR decides which file system is measured.
. "$(dirname "$0")/../e2e/lib.sh"
RUNS=${RUNS:-5} IDLE_SECONDS=${IDLE_SECONDS:-60} MESSAGES=${MESSAGES:-10000} CONTACTS=${CONTACTS:-100}
STRACED=500                                        # messages of a run under strace
HEARTBEAT_MS=10000 QUEUE_PER_CHAT=10000            # the default beat; no answer dropped in a flood
POLL=0.1                                           # looking must not cost what is measured

die() {
    echo "# $1; the log of the bridge ends so:"
    tail -n 5 "$WORK/bridge.log" | sed 's/^/# /'
    FAILED=1
    exit 1
}

# ---- the table -------------------------------------------------------------------------------------
row() { printf '| %-48s | %11s | %-7s | %-29s |\n' "$@"; } # WHAT VALUE UNIT NOTE

heading() {
    echo
    row "$1" value unit "budget, range"
    printf '|%s|%s:|%s|%s|\n' "$(printf '%050d' 0)" "$(printf '%012d' 0)" "$(printf '%09d' 0)" \
        "$(printf '%031d' 0)" | tr 0 -
}

fraction() { awk "BEGIN { printf \"%.${2:-2}f\", $1 }"; } # EXPRESSION [DIGITS]

# spread BUDGET NUMBER…: the median, then what the row says of the rest, one a line.
spread() {
    local budget=$1
    shift
    printf '%s\n' "$@" | sort -g | awk -v budget="$budget" '{ v[NR] = $1 }
        END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
              print budget "min " v[1] ", max " v[NR] }'
}

timing() { # WHAT BUDGET NUMBER…
    local what=$1 of
    shift
    mapfile -t of < <(spread "$@")
    row "$what" "${of[0]}" ms "${of[1]}"
}

# ---- the machine -----------------------------------------------------------------------------------
# Milliseconds that one synced write of 4 KiB takes; nothing durable can be faster.
synced_write_ms() {
    local start=$EPOCHREALTIME
    dd if=/dev/zero of="$WORK/synced" bs=4k count=200 oflag=dsync status=none && rm "$WORK/synced"
    fraction "($EPOCHREALTIME - $start) * 1000 / 200"
}

machine() {
    echo "processor    $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
    echo "load         $(cut -d ' ' -f 1-3 /proc/loadavg)"
    echo "memory       $(awk '/MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)"
    echo "kernel       $(uname -srm)"
    echo "volume       $(df --output=fstype,source "$WORK" | tail -n 1), $(synced_write_ms) ms for a synced write of 4 KiB"
    echo "program      $("$BUILDDIR/wabridge" --version | head -n 1), $(stat -c %s "$BUILDDIR/wabridge") bytes"
    echo "simulator    on the same machine, loopback, no TLS"
}

# ---- what the kernel says of the bridge ---------------------------------------------------------------
memory() { awk -v f="$1:" '$1 == f { print $2 }' "/proc/$BRIDGE_PID/smaps_rollup"; } # FIELD -> KiB
mib() { fraction "$1 / 1024"; }
sum() { awk -v at="$1" '{ s += $at } END { printf "%.0f", s }' "${@:2}"; }
cpu_ms() { # with nanoseconds behind it where the kernel keeps them
    local tasks=(/proc/"$BRIDGE_PID"/task/*/schedstat)
    if [ -r "${tasks[0]}" ]; then
        fraction "$(sum 1 "${tasks[@]}") / 1e6" 3
    else
        awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000 / hz }' "/proc/$BRIDGE_PID/stat"
    fi
}
wakeups() { sed -n 's/^voluntary_ctxt_switches://p' /proc/"$BRIDGE_PID"/task/*/status | sum 1; }
written() { sed -n 's/^write_bytes: //p' "/proc/$BRIDGE_PID/io"; }

# ---- steps -----------------------------------------------------------------------------------------
forget() { rm -rf "$VOLUME" "$PRIVATE" && mkdir -p "$VOLUME" "$PRIVATE"; }
until_file() { "$BUILDDIR/until" "$@" -- "$BUILDDIR/wabridge" run -c "$WORK/wabridge.yaml" 2>>"$WORK/bridge.log"; }

link() {
    forget
    start_bridge
    scan || die "the QR could not be scanned"
    wait_for 15 connected || die "the bridge did not connect"
    backlog_is_through
}
# What is answered waits for the backlog after a login.
backlog_is_through() { wait_for 15 grep -q backlog_done "$WORK/bridge.log" || die "the backlog did not end"; }

load() { get /load | jq -r ".$1"; }
is_answered() { [ "$(load replied_to)" -ge "$1" ] && [ "$(load acked)" -ge "$1" ]; }
# load_of CONTACTS MESSAGES [PAIRED]: sends and waits for all answers; prints milliseconds.
load_of() {
    local start=$EPOCHREALTIME
    post /load "{\"to\":\"$PHONE\",\"contacts\":$1,\"messages\":$2,\"rate\":0,\"paired\":${3:-false}}" >/dev/null
    wait_for 600 is_answered "$2" || return 1
    fraction "($EPOCHREALTIME - $start) * 1000" 0
}

# ---- 1, 2: times -------------------------------------------------------------------------------------
stop_ms() { # by a signal, as a container is stopped
    local start
    start_bridge
    wait_for 15 connected || die "not connected"
    start=$EPOCHREALTIME
    kill "$BRIDGE_PID"
    wait "$BRIDGE_PID" || die "the bridge did not stop"
    BRIDGE_PID=
    STOP_MS=$(fraction "($EPOCHREALTIME - $start) * 1000")
}

times() {
    local qr=() up=() down=() i
    for ((i = 0; i < RUNS; i++)); do
        forget
        qr+=("$(until_file "$VOLUME/qr.png")") || die "no QR"
    done
    link
    stop_bridge || die "the bridge did not stop"
    for ((i = 0; i < RUNS; i++)); do
        up+=("$(until_file "$VOLUME/state.json" '"CONNECTED"')") || die "not connected"
    done
    for ((i = 0; i < RUNS; i++)); do
        stop_ms
        down+=("$STOP_MS")
    done
    heading "time, median of $RUNS"
    timing "exec to qr.png on disk, fresh volumes" "<= 50; " "${qr[@]}"
    timing "exec to CONNECTED in state.json, linked" "" "${up[@]}"
    timing "SIGTERM to exit, connected" "" "${down[@]}"
}

# ---- 3, 4: memory and idling -------------------------------------------------------------------------
idle() {
    local cpu switches
    sleep 3 # prekeys and the like are through
    IDLE_DIRTY=$(memory Private_Dirty)
    heading "linked and idle, heartbeat $((HEARTBEAT_MS / 1000)) s"
    row "resident (RSS)" "$(mib "$(memory Rss)")" MiB ""
    row "proportional share (PSS)" "$(mib "$(memory Pss)")" MiB ""
    row "private dirty" "$(mib "$IDLE_DIRTY")" MiB "< 4"
    cpu=$(cpu_ms) switches=$(wakeups)
    sleep "$IDLE_SECONDS"
    row "CPU, over $IDLE_SECONDS s" "$(fraction "($(cpu_ms) - $cpu) * 60 / $IDLE_SECONDS" 1)" "ms/min" ""
    row "wake-ups, over $IDLE_SECONDS s" "$(fraction "($(wakeups) - $switches) * 60 / $IDLE_SECONDS" 0)" "1/min" \
        "beats $((60000 / HEARTBEAT_MS)), keepalive 2-3"
}

# ---- 5: messages -------------------------------------------------------------------------------------
measure_load() { # WHAT CONTACTS MESSAGES [PAIRED]
    local cpu bytes ms
    cpu=$(cpu_ms) bytes=$(written)
    ms=$(load_of "$2" "$3" "${4:-false}") || die "$1: $(get /load)"
    row "$1" "$(fraction "$3 * 1000 / $ms" 0)" "1/s" "$3 messages in $ms ms"
    row "  CPU of the bridge" "$(fraction "($(cpu_ms) - $cpu) / $3" 3)" "ms/msg" ""
    row "  written to the volumes" "$(fraction "($(written) - $bytes) / $3 / 1024" 1)" "KiB/msg" ""
}

messages() {
    local few=$((MESSAGES / 10)) half=$((MESSAGES * 2 / 5)) before_last dirty
    heading "messages received, recorded and answered"
    measure_load "1 contact, each waits for its answer" 1 "$few" true
    measure_load "1 contact" 1 $((MESSAGES - few - 2 * half))
    measure_load "$CONTACTS contacts" "$CONTACTS" "$half"
    before_last=$(memory Private_Dirty)
    measure_load "$CONTACTS contacts again" "$CONTACTS" "$half"
    sleep 3
    dirty=$(memory Private_Dirty)
    heading "memory after $MESSAGES messages"
    row "resident (RSS)" "$(mib "$(memory Rss)")" MiB ""
    row "private dirty" "$(mib "$dirty")" MiB "< 4"
    row "  growth since idle" "$((dirty - IDLE_DIRTY))" KiB ""
    row "  of it in the last $half messages" "$((dirty - before_last))" KiB "about 0, or it leaks"
    row "rows: messages in, answers out" "$(rows "select sum(direction='IN') || ' ' || sum(direction='OUT') from messages")" "" "$MESSAGES $MESSAGES"
}

# ---- fsyncs: counted by strace, which slows the bridge, so after all else ------------------------------
# straced WHAT CONTACTS PAIRED
straced() {
    local tracer ms
    strace -q -f -c -o "$WORK/strace" -e trace=fsync,fdatasync -p "$BRIDGE_PID" &
    tracer=$!
    wait_for 5 grep -q "^TracerPid:.*[1-9]" "/proc/$BRIDGE_PID/status" || return 1
    ms=$(load_of "$2" $STRACED "$3") || die "$1 under strace: $(get /load)"
    sleep 1 # the receipts for the last answers
    kill -INT "$tracer"
    wait "$tracer"
    row "$1" "$(awk '$NF ~ /^f(data)?sync$/ { n += $4 } END { print n / '$STRACED' }' "$WORK/strace")" "1/msg" \
        "$STRACED messages in $ms ms"
}

fsyncs() {
    heading "fsyncs (strace)"
    straced "1 contact, each waits for its answer" 1 true &&
        straced "$CONTACTS contacts at once" "$CONTACTS" false ||
        row "strace could not attach" - "" ""
}

# ---- all -----------------------------------------------------------------------------------------------
machine
start_sim
write_config
account $PHONE Shop
times
: >"$WORK/bridge.log"
start_bridge
wait_for 15 connected || die "not connected"
backlog_is_through
idle
messages
fsyncs
stop_bridge || die "the bridge did not stop"
echo
