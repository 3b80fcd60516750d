#!/bin/sh
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# A Debian 12 that can be booted, with what Choir depends on but without Choir: make-root.sh DIRECTORY
#
# It is made once, from the network, and kept: whoever uses it mounts something over it. When the
# list below changes it is made again.

set -eu

root=$1
suite=bookworm
mirror=${CHOIR_DEBIAN_MIRROR:-http://deb.debian.org/debian}
base=systemd-sysv,dbus
packages='polkitd python3-minimal python3-websockets libsoup-3.0-0 libjson-glib-1.0-0 libjwt0
  libsqlite3-0 libcbor0.8 debconf openssl'
stamp=$(echo "$suite $base $packages" | tr -s '\n ' '  ')

[ "$(cat "$root.stamp" 2>/dev/null)" != "$stamp" ] || [ ! -d "$root" ] || exit 0

mkdir -p "$(dirname "$root")"
exec 9>"$root.lock"
flock 9
[ "$(cat "$root.stamp" 2>/dev/null)" != "$stamp" ] || [ ! -d "$root" ] || exit 0

rm -rf "$root" "$root.new" "$root.stamp"
debootstrap --variant=minbase --include="$base" "$suite" "$root.new" "$mirror"
# debootstrap can't resolve what is virtual
# shellcheck disable=SC2086 # a list of words
systemd-nspawn --quiet --pipe --register=no --keep-unit -D "$root.new" \
  env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
  apt-get -qy --no-install-recommends install $packages
rm -rf "$root.new"/var/cache/apt/*.bin "$root.new"/var/cache/apt/archives/*.deb "$root.new"/var/lib/apt/lists/*
: >"$root.new/etc/machine-id"
# names itself, or every sudo and su would ask a resolver that is not there
echo choir-test >"$root.new/etc/hostname"
echo '127.0.0.1 localhost choir-test' >"$root.new/etc/hosts"
mv "$root.new" "$root"
echo "$stamp" >"$root.stamp"
