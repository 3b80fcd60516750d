#!/bin/sh
# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds the Debian packages and prints where they are: sh data/package.sh [DIRECTORY]
#
# DIRECTORY: where they go, _build/packages unless given. What git has in its list is built, as it is
# in the tree now. DEB_BUILD_OPTIONS is nocheck unless set: CI has run the tests.

set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
out=${1:-$root/_build/packages}
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
export PATH
: "${DEB_BUILD_OPTIONS:=nocheck}"
export DEB_BUILD_OPTIONS
# an interpreter that is set up for something else must not be asked by meson
unset PYTHONPATH PYTHONHOME

# shellcheck source=data/packages.sh
. "$root/data/packages.sh"

# What is in git's list but no longer in the tree can't be packed
list_files () {
  # shellcheck disable=SC2016 # for the inner shell
  if git -C "$root" rev-parse --is-inside-work-tree >/dev/null 2>&1; then
    (cd "$root" && git ls-files -z | xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh)
  else
    (cd "$root" && find . -name '_build*' -prune -o -name node_modules -prune -o -type f -print0)
  fi
}

# shellcheck disable=SC2086 # lists of words
ensure_packages $PACKAGES_BUILD $PACKAGES_PACKAGE

mkdir -p "$out"
out=$(CDPATH='' cd -- "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM

mkdir "$work/choir"
list_files | tar -C "$root" --null -T - -c | tar -C "$work/choir" -x
cp -r "$work/choir/data/debian" "$work/choir/debian"

if ! (cd "$work/choir" && dpkg-buildpackage -b -us -uc -ui) >"$work/log" 2>&1; then
  cp "$work/log" "$out/build.log"
  tail -n 40 "$work/log" >&2
  echo "package.sh: the build failed, see $out/build.log" >&2
  exit 1
fi

rm -f "$out"/choir*.deb "$out"/choir*.buildinfo "$out"/choir*.changes
mv "$work"/*.deb "$work"/*.buildinfo "$work"/*.changes "$out"
ls "$out"/*.deb
