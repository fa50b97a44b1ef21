# SPDX-License-Identifier: GPL-3.0-or-later
# What the torture scripts share: lives of a bridge that end badly, and the tally.
SANDBOX=--no-sandbox # the preloaded faults do what the confinement forbids
. "$(dirname "${BASH_SOURCE[0]}")/../e2e/lib.sh"
# Built anew when its source is newer: faults of an older model would be blamed on the bridge.
[ "$BUILDDIR/faults.so" -nt "$TOP/tests/torture/faults.c" ] && [ "$BUILDDIR/faults.so" -nt "$TOP/tests/torture/power.c" ] ||
    make -C "$BUILDDIR" -s faults.so || exit 1
SEED=${SEED:-$$}
RANDOM=$SEED
KEPT="$WORK/kept" LOOK="$WORK/look"
mkdir -p "$KEPT" "$LOOK"
STRANGE=0 TORN_STATE=0 SEQ_BACK=0 DAMAGED=0 LAST_SEQ=0
SENT=0 REPLIES=0 REPLIED_TO=0 RESENT=0 ROUND=0

draw() { # BELOW: into DRAWN
    DRAWN=$(((RANDOM << 15 | RANDOM) % $1))
}

# harm VARIABLE=VALUE…: the next bridge is started with faults.
harm() {
    WRAP=(timeout -s KILL "${LIMIT:-6}" env LD_PRELOAD="$BUILDDIR/faults.so"
        FAULTS_DIRS="$(realpath "$VOLUME"):$(realpath "$PRIVATE")" FAULTS_KEEP="$(realpath "$KEPT")" "$@")
}
no_harm() { WRAP=(env); }

# Waits for the end of the bridge; its exit status is in LIFE.
life_ends() {
    LIFE=0
    wait "$BRIDGE_PID" 2>/dev/null || LIFE=$?
    BRIDGE_PID=
}

# What the disk looks like between two lives. The databases are looked at in copies: the program that
# looks would recover them.
look() {
    local seq base
    if [ -e "$VOLUME/state.json" ]; then
        seq=$(jq -e .seq "$VOLUME/state.json" 2>/dev/null)
        if [[ $seq =~ ^[0-9]+$ ]]; then
            [ "$seq" -ge "$LAST_SEQ" ] || SEQ_BACK=$((SEQ_BACK + 1))
            LAST_SEQ=$seq
        else
            TORN_STATE=$((TORN_STATE + 1))
        fi
    fi
    rm -f "$LOOK"/*
    for base in "$VOLUME/messages.db" "$PRIVATE/keys.db"; do
        [ ! -e "$base" ] || cp "$base" "$LOOK/"
        [ ! -e "$base-wal" ] || cp "$base-wal" "$LOOK/"
    done
    for base in "$LOOK"/*.db; do
        [ "$(sqlite3 "$base" 'pragma integrity_check' 2>&1)" = ok ] || {
            DAMAGED=$((DAMAGED + 1))
            cp "$LOOK"/* "$KEPT/"
        }
    done
}

load() { get /load | jq -r ".$1"; }
past() { [ "$(load "$1")" -ge "$2" ]; }
stat_of() { get /stats | jq -r ".$1"; }

linked_bridge() {
    start_sim
    QUEUE_PER_CHAT=10000 write_config
    account $PHONE Shop
    no_harm
    start_bridge
    check "linked" eval 'scan && wait_for 15 connected'
}

# A round of load: contacts write again once they were answered, as fast as they can.
round_starts() { # MESSAGES [CONTACTS]
    ROUND=$((ROUND + 1))
    ROUND_MESSAGES=$1
    post /load "{\"to\":\"$PHONE\",\"contacts\":${2:-20},\"messages\":$1,\"rate\":0,\"prefix\":\"round$ROUND\",\"paired\":true}" >/dev/null
}

all_out() { [ "$(rows "select count(*) from messages where status in ('queued','sending')")" = 0 ]; }

# Runs an unharmed bridge until the round is answered, and adds it up.
round_ends() {
    no_harm
    [ -n "$BRIDGE_PID" ] || start_bridge
    wait_for "${PATIENCE:-60}" past replied_to "$ROUND_MESSAGES" ||
        not_ok "round $ROUND is answered" "$(get /load)"
    wait_for 20 all_out || not_ok "the queue of round $ROUND runs empty"
    SENT=$((SENT + $(load sent)))
    REPLIES=$((REPLIES + $(load replies)))
    REPLIED_TO=$((REPLIED_TO + $(load replied_to)))
    RESENT=$((RESENT + $(load reply_duplicates)))
}

# The tally: every message once in the log, once answered in the log, once answered at the customer.
tally() { # TEXT
    local recorded distinct answers twice unread
    recorded=$(rows "select count(*) from messages where direction='IN' and text like 'round%'")
    distinct=$(rows "select count(distinct text) from messages where direction='IN' and text like 'round%'")
    answers=$(rows "select count(*) from messages where direction='OUT' and reply_to is not null")
    twice=$(rows "select count(*) from (select 1 from messages where direction='OUT' and reply_to is not null group by reply_to having count(*) > 1)")
    unread=$(($(rows "select count(*) from messages where kind='undecryptable'") + $(stat_of undecryptable) + $(stat_of retries)))
    equal "every message is recorded once" "$SENT $SENT" "$recorded $distinct"
    equal "every one has one answer in the log" "$SENT 0" "$answers $twice"
    equal "every customer saw one answer" "$SENT" "$REPLIES"
    equal "everything was decrypted at once, on both sides" 0 "$unread"
    equal "no message key was used twice" 0 "$(stat_of key_reuse)"
    equal "every life ended as it should" 0 "$STRANGE"
    equal "no database was damaged" 0 "$DAMAGED"
    check "the bridge is connected" wait_for 20 connected
    stop_bridge
    look
    equal "the databases are whole in the end" 0 "$DAMAGED"
    echo "# seed=$SEED rounds=$ROUND resent_same_id=$RESENT state_torn=$TORN_STATE seq_back=$SEQ_BACK strange=$STRANGE"
    TALLY="$1 sent=$SENT recorded=$recorded answered=$REPLIED_TO lost=$((SENT - distinct)) twice=$((recorded - distinct + twice + REPLIES - REPLIED_TO)) undecryptable=$unread key_reuse=$(stat_of key_reuse)"
}
