#!/bin/sh
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds and tests everything: sh tests/run.sh [SUITE...]
#
# Three builds: gcc and clang, both under AddressSanitizer and UndefinedBehaviorSanitizer, and a
# release build for the suite `cost`, which counts instructions. The suites `long`, and `package`, which
# makes a build of its own, are run with gcc's alone, unless they are named. The last line is the sum.

set -u

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 1
cd "$root" || exit 1
logs=$root/_build/logs
heartbeat_s=20

# The distribution's interpreter, since that is where the packages go
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
export PATH

# shellcheck source=data/packages.sh
. "$root/data/packages.sh"

child=
stop () {
  [ -z "$child" ] || kill "$child" 2>/dev/null
  exit 130
}
trap stop INT TERM

fail () {
  echo "$1"
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

# run_logged LABEL LOG COMMAND...: quiet, but shows a sign of life; status of the command
run_logged () {
  label=$1
  log=$2
  shift 2

  "$@" >"$log" 2>&1 </dev/null &
  child=$!
  waited=0
  while kill -0 "$child" 2>/dev/null; do
    sleep 1
    waited=$((waited + 1))
    [ $((waited % heartbeat_s)) -ne 0 ] ||
      echo "    $label, ${waited} s: $(tail -n 1 "$log" | tr -d '\r' | cut -c 1-80)"
  done
  wait "$child"
  status=$?
  child=
  return $status
}

# build DIR COMPILER MESON-OPTION...: everything, or what $targets names
build () {
  dir=_build/$1
  compiler=$2
  name=$1
  shift 2

  echo "==> Building $dir ($compiler)"
  if [ ! -f "$dir/build.ninja" ]; then
    run_logged "$name: configuring" "$logs/$name-setup.log" \
      env CC="$compiler" meson setup "$dir" "$@" || { tail -n 40 "$logs/$name-setup.log"; return 1; }
  fi
  # shellcheck disable=SC2086 # a list of words
  run_logged "$name: compiling" "$logs/$name-compile.log" meson compile -C "$dir" $targets ||
    { grep -E -A 12 'error:|FAILED|ERROR' "$logs/$name-compile.log" | head -n 60; return 1; }
}

# check DIR MESON-TEST-OPTION...: leaves its results for the sum; a failure is counted there
check () {
  name=$1
  dir=_build/$1
  shift

  echo "==> Testing $dir"
  rm -f "$dir/meson-logs/testlog.json"
  # they wait more than they work
  run_logged "$name: testing" "$logs/$name-test.log" \
    meson test -C "$dir" --no-rebuild --timeout-multiplier 3 --num-processes $(($(nproc) + 1)) "$@"
  if grep -q '^No .*tests defined' "$logs/$name-test.log"; then
    echo "    no such tests here"
  else
    results="$results $name=$dir/meson-logs/testlog.json"
    sed -n 's/^\(Ok\|Fail\|Timeout\): */    \1: /p' "$logs/$name-test.log"
  fi
}

# Whether a suite was asked for
wanted () {
  [ -z "$suites" ] && return 0
  case " $suites " in
    *" $1 "*) return 0 ;;
    *) return 1 ;;
  esac
}

install_node_modules () {
  dir=tests/conformance/node
  [ -f "$dir/package-lock.json" ] || return 0
  stamp=$dir/node_modules/.choir-lock
  sum=$(cksum <"$dir/package-lock.json")
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ] && return 0

  ensure_node || return 1
  echo "==> npm ci in $dir"
  run_logged "npm ci" "$logs/npm.log" npm ci --prefix "$dir" --no-audit --no-fund --ignore-scripts ||
    { tail -n 20 "$logs/npm.log"; return 1; }
  echo "$sum" >"$stamp"
}

suites="$*"
results=
targets=
mkdir -p "$logs" || exit 1

# shellcheck disable=SC2086 # lists of words
ensure_packages $PACKAGES_BUILD $PACKAGES_RUN $PACKAGES_TEST $PACKAGES_PACKAGE $PACKAGES_BOOT || fail "Packages are missing"
install_node_modules || fail "The node modules of the conformance tests could not be installed"

# With no suite named, all of them but `cost`, which means nothing under a sanitizer
sanitized_options='--no-suite cost'
sanitized=yes
if [ -n "$suites" ]; then
  sanitized_options=
  sanitized=no
  for suite in $suites; do
    [ "$suite" = cost ] && continue
    sanitized=yes
    sanitized_options="$sanitized_options --suite $suite"
  done
fi

if [ "$sanitized" = yes ]; then
  for pair in asan:gcc clang:clang; do
    build "${pair%%:*}" "${pair##*:}" -Db_sanitize=address,undefined -Db_lundef=false ||
      fail "The build with ${pair##*:} failed, see $logs"
    once=
    [ -n "$suites" ] || [ "${pair%%:*}" = asan ] || once='--no-suite long --no-suite package'
    # shellcheck disable=SC2086 # lists of words
    check "${pair%%:*}" $sanitized_options $once
  done
fi

if wanted cost; then
  targets='choird choir-load choir-edit rope-cost text-operation-cost'
  build release gcc -Dbuildtype=debugoptimized -Doptimization=2 -Db_ndebug=true ||
    fail "The release build failed, see $logs"
  check release --suite cost
fi

echo "==> Logs: $logs"
# shellcheck disable=SC2086 # a list of words
/usr/bin/python3 tests/summarize.py $results
