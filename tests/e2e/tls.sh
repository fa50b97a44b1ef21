#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# wss://: a server behind TLS (socat before the simulator), with a certificate authority of our own, with one that
# the system does not know, and with a certificate for another name.
. "$(dirname "$0")/lib.sh"

SOCAT_PID=
stop_proxy() {
    [ -z "$SOCAT_PID" ] || { kill "$SOCAT_PID"; wait "$SOCAT_PID"; } 2>/dev/null
    SOCAT_PID=
}
trap 'stop_proxy; finish' EXIT

authority() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-authority \
        -keyout "$WORK/ca.key" -out "$WORK/ca.pem"
}

certificate() { # NAME: for a server of that name
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$WORK/$1.key" -out "$WORK/$1.csr" &&
        openssl x509 -req -in "$WORK/$1.csr" -CA "$WORK/ca.pem" -CAkey "$WORK/ca.key" -CAcreateserial -days 2 \
            -extfile <(printf 'subjectAltName=DNS:%s' "$1") -out "$WORK/$1.pem" && cat "$WORK/$1.key" >>"$WORK/$1.pem"
}

proxy() { # NAME: TLS with that certificate, on $TLS_PORT
    stop_proxy
    socat "OPENSSL-LISTEN:$TLS_PORT,bind=127.0.0.1,reuseaddr,fork,verify=0,cert=$WORK/$1.pem" \
        "TCP:${PLAIN#ws://}" 2>"$WORK/socat.log" &
    SOCAT_PID=$!
    wait_for 5 listening
}
listening() { curl -sk -m 1 -o /dev/null "https://127.0.0.1:$TLS_PORT/"; [ $? != 7 ]; }

bridge_with() { # CA-FILE
    rm -rf "$VOLUME" "$PRIVATE"
    mkdir -p "$VOLUME" "$PRIVATE"
    write_config
    sed -i "s|^replies:|  ca_file: \"$1\"\nreplies:|" "$WORK/wabridge.yaml"
    start_bridge
}

start_sim
PLAIN=${ENDPOINT%/ws/chat}
TLS_PORT=$((20000 + RANDOM % 20000))
ENDPOINT="wss://localhost:$TLS_PORT/ws/chat"
check "an authority and two certificates are made" eval 'authority && certificate localhost && certificate elsewhere'

proxy localhost
bridge_with "$WORK/ca.pem"
check "wss:// with our authority shows a QR" wait_for 10 state_is .status QR_PENDING
stop_bridge
equal "… and stops" 0 $?

# The same authority, found by its name in a directory: not the file with all, nor set by hand.
mkdir "$WORK/certs" && cp "$WORK/ca.pem" "$WORK/certs/$(openssl x509 -noout -hash -in "$WORK/ca.pem").0"
WRAP=(env -u SSL_CERT_FILE "SSL_CERT_DIR=$WORK/certs")
bridge_with ""
check "an authority in the system's hashed directory is found there" wait_for 10 state_is .status QR_PENDING
stop_bridge
equal "… and stops" 0 $?
WRAP=(env)

error_is() { state_is .last_error.code tls_failed && state .last_error.message | grep -q "$1"; }
bridge_with ""
check "an authority that nobody knows is refused, with a hint" wait_for 10 error_is ca_file
check "… and no QR is shown" test ! -e "$VOLUME/qr.png"
stop_bridge

proxy elsewhere
bridge_with "$WORK/ca.pem"
check "a certificate for another name is refused" wait_for 10 error_is .
check "… and no QR is shown" test ! -e "$VOLUME/qr.png"
stop_bridge

summary
