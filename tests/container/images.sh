#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds the images for real, from Debian's packages alone: the base image is bootstrapped with the host's
# apt configuration and imported under the name that the Dockerfiles use. images.sh WORKDIR
set -eu
work=${1:?} top=$(cd "$(dirname "$0")/../.." && pwd)
base=docker.io/library/debian:bookworm-slim

if ! podman image exists $base; then
    echo "# bootstrapping $base"
    # shellcheck disable=SC2016
    mmdebstrap --quiet --variant=minbase \
        --customize-hook='grep -ls "^Acquire" /etc/apt/apt.conf.d/* | xargs -r cp -t "$1/etc/apt/apt.conf.d/"' \
        bookworm "$work/base.tar" /etc/apt/sources.list.d/debian.sources
    podman import -q "$work/base.tar" $base >/dev/null
    rm "$work/base.tar"
fi
image() { # NAME DOCKERFILE [OPTION…]
    local name=$1 file=$2
    shift 2
    echo "# building $name"
    buildah bud --runtime runc --network=host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --format docker \
        --layers -f "$top/$file" -t "localhost/$name" "$@" "$top" >"$work/$name.log" 2>&1 || { tail -n 30 "$work/$name.log"; exit 1; }
}
image wabridge container/Dockerfile
image wabridge-debug container/Dockerfile --target debug
image wabridge-sim container/Dockerfile --target simulator
image wabridge-portal container/portal/Dockerfile
grep -h -B 12 '^image size' "$work/wabridge.log" | grep -E '^ *[0-9]+ \./|^image size' | sed 's/^/# /' || :
