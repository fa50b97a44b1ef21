#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Sets up everything on a Debian 12 machine and runs or tests wabridge. See README.md.
set -eu
cd "$(dirname "$0")"

usage() {
    cat <<'TEXT'
usage: ./bootstrap.sh VERB [options]

  run [--once] [--volume DIR] [--whatsapp]
          build, then run a tenant: against the bundled simulator, or (--whatsapp)
          against WhatsApp with your own phone. --once: one full round, then exit.
  check [--all]
          build, then run all tests; --all: the slow analysers (clang-tidy, valgrind) too, and
          the tests with containers and a browser where this machine can run them (as root)
  bench [--docs] [--quick]
          build optimised, then measure beside Baileys and Chromium (35 to 40 minutes; --quick: 5), into
          build/bench.json; --docs: also write docs/performance.md. See tests/bench/bench.py --help
  build   only set up and build (into ./build)
TEXT
}

BUILD_PACKAGES="gcc libc6-dev make autoconf automake pkg-config protobuf-c-compiler libwebsockets-dev
    libsqlite3-dev libqrencode-dev libpng-dev libyaml-dev libssl-dev libsignal-protocol-c-dev
    libprotobuf-c-dev zlib1g-dev libjansson-dev libutf8proc-dev libseccomp-dev check ca-certificates"
RUN_PACKAGES="curl jq zbar-tools"
CONTAINER_PACKAGES="podman buildah runc catatonit mmdebstrap chromium fonts-noto-core fonts-dejavu-core debhelper dpkg-dev"
CHECK_PACKAGES="$RUN_PACKAGES sqlite3 procps strace valgrind socat openssl mandoc man-db clang
    libclang-rt-14-dev cppcheck"
BENCH_PACKAGES="$RUN_PACKAGES sqlite3 strace binutils gnuplot-nox chromium"
ALL_PACKAGES="clang-tidy python3-yaml"

need() { # PACKAGE…: installs what is missing
    local missing="" name
    for name in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing="$missing $name"
    done
    [ -n "$missing" ] || return 0
    local as_root="" log
    log=$(mktemp)
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { echo "bootstrap.sh: as root, run: apt-get install$missing" >&2; exit 69; }
        as_root=sudo
    fi
    echo "== installing:$missing"
    # shellcheck disable=SC2086
    { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1 || { cat "$log"; exit 69; }
    rm -f "$log"
}

quietly() { # LOG COMMAND…: its output only when it fails
    local log=$1
    shift
    "$@" >"$log" 2>&1 || { cat "$log"; exit 70; }
}

# promtool lints metrics.prom. Its package brings a server that starts by itself, so only the tool is taken
# out of it. Without it (no such package, no network) that one test is skipped.
fetch_promtool() { # DIR
    if [ -x "$1/promtool" ] || command -v promtool >/dev/null; then return 0; fi
    local work
    work=$(mktemp -d)
    echo "== fetching promtool"
    (cd "$work" && chmod 755 . && apt-get download -qq prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb |
        tar x ./usr/bin/promtool) >/dev/null 2>&1 && mv "$work/usr/bin/promtool" "$1/" || echo "== no promtool"
    rm -rf "$work"
}

build() { # DIR [configure options]
    local dir=$1
    shift
    # shellcheck disable=SC2086
    need $BUILD_PACKAGES
    mkdir -p "$dir"
    [ -x configure ] && [ configure -nt configure.ac ] && [ Makefile.in -nt Makefile.am ] ||
        quietly "$dir/bootstrap.log" autoreconf -fi
    if [ ! -f "$dir/config.status" ] || [ configure -nt "$dir/config.status" ]; then
        echo "== configuring in $dir"
        (cd "$dir" && quietly bootstrap.log ../configure "$@")
    fi
    echo "== building in $dir"
    quietly "$dir/bootstrap.log" make -C "$dir" -j"$(nproc)" all
    BUILDDIR=$PWD/$dir
    export BUILDDIR
}

verb=${1:-}
[ $# = 0 ] || shift
case $verb in
run)
    # shellcheck disable=SC2086
    need $RUN_PACKAGES
    build build CFLAGS='-O2 -g'
    exec tests/demo/demo.sh "$@"
    ;;
check)
    # shellcheck disable=SC2086
    need $CHECK_PACKAGES
    command -v npm >/dev/null || need npm
    command -v python3 >/dev/null || need python3
    build build CFLAGS='-O2 -g'
    build build-asan --enable-sanitizers --enable-werror CFLAGS='-O1 -g'
    build build-fuzz CC=clang --enable-fuzzers --enable-werror CFLAGS='-O1 -g'
    fetch_promtool build
    all=
    if [ "${1:-}" = --all ]; then
        all=--all
        # shellcheck disable=SC2086
        need $ALL_PACKAGES
        # shellcheck disable=SC2086
        [ "$(id -u)" != 0 ] || need $CONTAINER_PACKAGES
    fi
    exec tests/check.sh build build-asan build-fuzz $all
    ;;
bench)
    # shellcheck disable=SC2086
    need $BENCH_PACKAGES
    command -v npm >/dev/null || need npm
    command -v python3 >/dev/null || need python3
    build build CFLAGS='-O2 -g'
    exec make -C build -s bench BENCH_OPTIONS="$*"
    ;;
build) build build CFLAGS='-O2 -g' ;;
-h | --help | help) usage ;;
*)
    usage >&2
    exit 64
    ;;
esac
