#!/bin/sh
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# CPU time per message beside the least a server can do, and beside other servers:
#   sh tests/load/run.sh [quick]
# quick takes at most five minutes. The servers compared with that can't be installed are left out.
# Other figures, each in a minute:
#   sh tests/load/run.sh hold        10,000 connections, a broadcast, a graceful end
#   sh tests/load/run.sh hostile     what attackers cost everybody else
#   sh tests/load/run.sh recovery    what it costs to give a client what it has missed
#   sh tests/load/run.sh streams     event streams beside WebSockets
#   sh tests/load/run.sh bus         what administration over a bus costs with 10,000 connections
#   sh tests/load/run.sh chunks      what a message costs that is streamed in pieces
# What it costs to keep messages in the store, in some three minutes (one with quick):
#   sh tests/load/run.sh persist [quick]
# And documents, beside ShareDB, in some ten minutes (two with quick):
#   sh tests/load/run.sh documents [quick] [durable|paced|big|opening|memory ...]

set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
build=$root/_build/release
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
export PATH

# shellcheck source=data/packages.sh
. "$root/data/packages.sh"

# shellcheck disable=SC2086 # a list of words
ensure_packages $PACKAGES_BUILD $PACKAGES_RUN libjansson-dev

ensure_peers () {
  if [ ! -d "$here/peers/node_modules/sharedb" ]; then
    { ensure_node && npm ci --prefix "$here/peers" --no-audit --no-fund --ignore-scripts --silent; } \
      >/dev/null 2>&1 || echo "ws, socket.io and ShareDB could not be installed" >&2
  fi
}

case ${1-} in
hold | bus | hostile | recovery | streams | chunks)
  ensure_packages python3-jwt python3-cryptography
  [ "$1" = bus ] && ensure_packages dbus-daemon python3-gi
  echo "Building $build"
  CC=gcc sh "$here/build.sh" "$build"
  test=$1
  shift
  case $test in hold | bus) set -- "$build/tests/load/choir-hold" "$@" ;; esac
  exec /usr/bin/python3 "$here/$test.py" "$build/src/daemon/choird" "$@"
  ;;
persist)
  shift
  echo "Building $build"
  CC=gcc sh "$here/build.sh" "$build"
  exec /usr/bin/python3 "$here/persist.py" "$build" "$@"
  ;;
documents)
  shift
  ensure_peers
  echo "Building $build"
  CC=gcc sh "$here/build.sh" "$build"
  exec /usr/bin/python3 "$here/documents.py" "$build" "$@"
  ;;
esac
ensure_packages nginx libnginx-mod-nchan python3-fastapi python3-uvicorn ||
  echo "Some of the servers compared with are missing" >&2
ensure_peers

echo "Building $build"
CC=gcc sh "$here/build.sh" "$build"
exec /usr/bin/python3 "$here/run.py" "$build" "$@"
