# SPDX-FileCopyrightText: Copyright © the Choir contributors
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh
#
# Debian 12 packages, for the scripts that build; sourced, not run.

# shellcheck disable=SC2034 # used by whoever sources this
PACKAGES_BUILD='gcc libc6-dev meson ninja-build pkg-config gettext libglib2.0-dev libglib2.0-dev-bin
  libsoup-3.0-dev libjson-glib-dev libjwt-dev libjansson-dev libsqlite3-dev zlib1g-dev libcbor-dev'
PACKAGES_RUN='dbus-daemon polkitd systemd python3 python3-websockets'
PACKAGES_TEST='clang llvm libclang-rt-14-dev libjansson-dev python3-jwt python3-cryptography python3-autobahn python3-pytest
  python3-cbor2 python3-jsonschema python3-yaml openssl curl nginx valgrind glib-networking ca-certificates
  chromium python3-prometheus-client python3-dbusmock libglib2.0-bin libxml2-utils
  bash-completion zsh docbook-xsl xsltproc man-db haproxy prometheus gjs python3-gi'
# For data/package.sh, and for the tests of what it makes
PACKAGES_PACKAGE='debhelper dpkg-dev po-debconf systemd docbook-xsl xsltproc'
PACKAGES_BOOT='debootstrap systemd-container lintian rpm'
PACKAGES_CI='clang-format clang-tidy cppcheck shellcheck libxml2-utils'

# Runs its arguments as root
as_root () {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo -- "$@"
  else
    echo "Neither root nor sudo: run as root: $*" >&2
    return 1
  fi
}

package_is_installed () {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Installs those of the packages that are missing; says so, and is silent when nothing is
ensure_packages () {
  missing=
  for package; do
    package_is_installed "$package" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0

  if ! command -v apt-get >/dev/null 2>&1; then
    echo "This needs the equivalents of these Debian packages:$missing" >&2
    return 1
  fi

  echo "Installing:$missing"
  package_log=$(mktemp)
  # shellcheck disable=SC2086 # a list of words
  if ! { as_root apt-get -q update &&
         as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy -o DPkg::Lock::Timeout=300 --no-install-recommends install \
           $missing; } >"$package_log" 2>&1; then
    tail -n 20 "$package_log" >&2
    rm -f "$package_log"
    return 1
  fi
  rm -f "$package_log"
}

# Node.js may come from elsewhere than Debian and bring npm along
ensure_node () {
  command -v node >/dev/null 2>&1 || ensure_packages nodejs || return 1
  command -v npm >/dev/null 2>&1 || ensure_packages npm
}
