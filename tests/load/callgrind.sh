#!/bin/sh
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Instructions per delivery and per ping, or per change of a document:
#   sh tests/load/callgrind.sh [CHOIRD CHOIR-LOAD|CHOIR-EDIT]
# Without arguments it counts all of them in _build/release. Needs a build without sanitizers.

set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
build=$here/../../_build/release

if [ "${CHOIR_TEST_SANITIZED:-none}" != none ]; then
  echo "1..0 # SKIP instructions mean nothing under a sanitizer"
  exit 0
fi
if ! command -v valgrind >/dev/null 2>&1; then
  echo "1..0 # SKIP valgrind is not installed"
  exit 0
fi
if [ $# -eq 0 ]; then
  CC=gcc sh "$here/build.sh" "$build"
  set -- "$build/src/daemon/choird" "$build/tests/load/choir-edit"
  /usr/bin/python3 "$here/callgrind.py" "$build/src/daemon/choird" "$build/tests/load/choir-load"
fi

exec /usr/bin/python3 "$here/callgrind.py" "$@"
