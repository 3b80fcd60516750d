#!/bin/sh
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds Choir, starts it with throw-away settings, and says how to look at it.
#   sh data/try.sh               until Ctrl-C
#   sh data/try.sh --background  returns once it is ready
#   sh data/try.sh --stop        ends the one in the background

set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$root/_build/try
choird=$build/src/daemon/choird
choirctl=$build/src/ctl/choirctl
state=${XDG_STATE_HOME:-${HOME:-/tmp}/.local/state}/choir-try
pid_file=$state/choird.pid
bus_file=$state/bus
log=$state/choird.log
first_port=8800
start_limit_s=20
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
export PATH

# shellcheck source=data/packages.sh
. "$root/data/packages.sh"

die () {
  echo "try.sh: $*" >&2
  exit 1
}

# The process in @1, if it is alive and the program named @2
process_of () {
  [ -s "$1" ] || return 1
  process=$(head -n 1 "$1")
  [ "$(cat "/proc/$process/comm" 2>/dev/null)" = "$2" ] || return 1
  echo "$process"
}

# Ends what this script started earlier, and waits until it is gone
end_process () {
  process=$(process_of "$1" "$2") || { rm -f "$1"; return 0; }
  kill "$process" 2>/dev/null || true
  waited=0
  while kill -0 "$process" 2>/dev/null; do
    [ $waited -lt 100 ] || { kill -KILL "$process" 2>/dev/null || true; }
    waited=$((waited + 1))
    sleep 0.1
  done
  rm -f "$1"
}

stop_all () {
  end_process "$pid_file" choird
  end_process "$bus_file" dbus-daemon
}

build_choir () {
  # shellcheck disable=SC2086 # lists of words
  ensure_packages $PACKAGES_BUILD $PACKAGES_RUN

  [ -x "$choird" ] || echo "Building in $build"
  build_log=$(mktemp)
  if ! { [ -f "$build/build.ninja" ] ||
         meson setup "$build" "$root" --buildtype=release -Dtests=false; } >"$build_log" 2>&1 ||
     ! meson compile -C "$build" >>"$build_log" 2>&1; then
    tail -n 40 "$build_log" >&2
    rm -f "$build_log"
    die "the build failed"
  fi
  rm -f "$build_log"
}

make_state () {
  # under a home that is not writable, somewhere that is
  if ! mkdir -p "$state" 2>/dev/null || [ ! -w "$state" ]; then
    state=${TMPDIR:-/tmp}/choir-try-$(id -u)
    mkdir -p "$state"
    pid_file=$state/choird.pid
    bus_file=$state/bus
    log=$state/choird.log
  fi
  chmod 700 "$state"
  : >"$state/choir.conf"
  if [ ! -s "$state/hs256.key" ]; then
    (umask 077 && od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$state/hs256.key")
  fi
}

# The session bus that is there, else one of our own
make_bus () {
  own_bus=no
  ! busctl --user list >/dev/null 2>&1 || return 0
  own_bus=yes
  if ! process_of "$bus_file" dbus-daemon >/dev/null; then
    # always the same address: what was exported once stays good
    rm -f "$state/bus.socket"
    dbus-daemon --session --fork --print-pid=1 --address="unix:path=$state/bus.socket" \
      >"$bus_file" 2>>"$log" || die "dbus-daemon did not start"
    echo "unix:path=$state/bus.socket" >>"$bus_file"
  fi
  DBUS_SESSION_BUS_ADDRESS=$(sed -n 2p "$bus_file")
  export DBUS_SESSION_BUS_ADDRESS
}

is_listening () {
  grep -q "^listening on 127.0.0.1:$port\$" "$log" 2>/dev/null
}

port_is_taken () {
  /usr/bin/python3 -c '
import socket, sys
with socket.socket() as probe:
    sys.exit(probe.connect_ex(("127.0.0.1", int(sys.argv[1]))) != 0)' "$1"
}

pick_port () {
  port=$first_port
  while port_is_taken "$port"; do
    port=$((port + 1))
    [ "$port" -lt $((first_port + 100)) ] || die "no free port from $first_port on"
  done
}

start_choird () {
  : >"$log"
  # its own group, so that Ctrl-C reaches this script, which then ends it in order
  # shellcheck disable=SC2016 # for the inner shell
  STATE_DIRECTORY=$state setsid sh -c 'echo $$ >"$1"; shift; exec "$@"' sh "$pid_file" \
    "$choird" --config "$state/choir.conf" \
    --set "server.listen=127.0.0.1:$port" \
    --set "server.playground=yes" \
    --set "server.echo-path=/echo" \
    --set "auth.key=HS256:try:$state/hs256.key" \
    --set "auth.users=none" \
    --set "store.backend=memory" \
    --set "bus.bus=session" >>"$log" 2>&1 </dev/null &

  waited=0
  until is_listening; do
    if [ $waited -gt 5 ] && ! process_of "$pid_file" choird >/dev/null; then
      cat "$log" >&2
      die "choird did not start"
    fi
    [ $waited -lt $((start_limit_s * 10)) ] || die "choird is not ready after $start_limit_s s, see $log"
    waited=$((waited + 1))
    sleep 0.1
  done
}

make_token () {
  "$choird" token --config "$state/choir.conf" --set "auth.key=HS256:try:$state/hs256.key" --ttl 24h "$@"
}

explain () {
  token=$(make_token --sub you --permission '*:*:read' --permission '*:*:write')
  echo "READY  http://127.0.0.1:$port/#token=$token"
  cat <<TEXT

That page is the playground: connect, subscribe, publish, watch. In a second terminal:

  TOKEN=$token

Subscribe and publish from there (/usr/bin/python3 with python3-websockets):

  /usr/bin/python3 -c '
import asyncio, json, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1]) as ws:
        print(await ws.recv())
        for m in ({"type": "subscribe", "payload": {"channels": [{"channel": "chat:lobby"}]}},
                  {"type": "publish", "payload": {"channel": "chat:lobby", "type": "chat.message",
                   "payload": {"content": "Hello from the terminal"}}}):
            await ws.send(json.dumps(m))
        for _ in range(3):
            print(await ws.recv())
asyncio.run(main())' "ws://127.0.0.1:$port/ws?token=\$TOKEN"

Or by hand: /usr/bin/python3 -m websockets "ws://127.0.0.1:$port/ws?token=\$TOKEN"

The same as events, where a WebSocket can't pass: curl -N "http://127.0.0.1:$port/sse?channels=chat:lobby&token=\$TOKEN"

What docs/http-api.md and docs/workers.md need, in a third terminal:

  export CHOIR=http://127.0.0.1:$port
  export TOKEN=$(make_token --sub backend --role service)
  export WORKER=$(make_token --sub worker --role worker)

Watch and steer it on the bus:

TEXT
  if [ "$own_bus" = yes ]; then
    echo "  export DBUS_SESSION_BUS_ADDRESS='$DBUS_SESSION_BUS_ADDRESS'"
  fi
  cat <<TEXT
  alias choirctl='$choirctl --session'
  choirctl status
  choirctl connections
  choirctl broadcast system.notification '{"message": "Tea is ready"}'
  choirctl kick --user you --reason 'Because we can'

Or with what every program can call:

  busctl --user call org.choir.Choir1 /org/choir/Choir1 org.choir.Choir1.Manager ListConnections a{sv}uu 0 0 10

Log: $log
TEXT
}

mode=foreground
case "${1:-}" in
  '') ;;
  --background) mode=background ;;
  --stop) mode=stop ;;
  *) die "unknown option $1; there are --background and --stop" ;;
esac

make_state
stop_all
[ "$mode" != stop ] || exit 0

build_choir
pick_port
make_bus
trap 'stop_all' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
start_choird
explain

if [ "$mode" = background ]; then
  trap - EXIT INT TERM HUP
  echo "Process $(cat "$pid_file"); end it with: sh data/try.sh --stop"
  exit 0
fi

echo "Ctrl-C ends it."
# if it ends by itself, so does this
while process_of "$pid_file" choird >/dev/null; do
  sleep 1
done
tail -n 20 "$log" >&2
die "choird has ended"
