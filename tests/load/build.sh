#!/bin/sh
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# The release build that figures are taken from: sh tests/load/build.sh DIRECTORY

set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

cd "$root"
if ! { [ -f "$1/build.ninja" ] ||
       meson setup "$1" -Dbuildtype=debugoptimized -Doptimization=2 -Db_ndebug=true; } >"$log" 2>&1 ||
   ! ninja -C "$1" src/daemon/choird src/ctl/choirctl tests/load/choir-load tests/load/choir-floor \
       tests/load/choir-hold tests/load/choir-bystander tests/load/choir-edit >>"$log" 2>&1; then
  tail -n 40 "$log" >&2
  exit 1
fi
