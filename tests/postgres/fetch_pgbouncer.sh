#!/usr/bin/env bash
# Unpack Debian's pgbouncer into .venv/pgbouncer, for tests/postgres/test_pgbouncer.py. Nothing is installed: the package
# would start a service. Exit status 0 when there is one now, 1 when it was not to be had; no test fails for that.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

target=.venv/pgbouncer
command -v pgbouncer >/dev/null && exit 0
[ -x "$target/usr/sbin/pgbouncer" ] && exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || exit 1

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
fetch() { (cd "$work" && timeout 20 apt-get -qq download "$1") >/dev/null 2>&1; }

fetch pgbouncer || { timeout 40 apt-get -qq update >/dev/null 2>&1; fetch pgbouncer; } || exit 1
# Its libraries that a small image lacks, under the names of Debian 12 and 13; the others it has.
for library in libc-ares2 libcares2 libevent-2.1-7 libevent-2.1-7t64; do fetch "$library"; done
mkdir -p "$work/root"
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root" || exit 1; done
rm -rf "$target" && mkdir -p "$(dirname "$target")" && mv "$work/root" "$target"
