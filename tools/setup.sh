#!/bin/sh
# Installs what k8ts needs on this machine and says what it installs: npm dependencies (Node 26 among them) and, as root on Debian, the container
# runtime and network tools. Fails with the exact command to run where it may not install. Does nothing when everything is there.
# usage: sh tools/setup.sh [--npm-only | EXTRA-DEBIAN-PACKAGE ...]
set -eu
cd "$(dirname "$0")/.."

lock=node_modules/.package-lock.json
fresh=
if [ ! -f "$lock" ] || [ package-lock.json -nt "$lock" ]; then
  echo "installing npm dependencies (Node 26 among them)"
  # Not "npm ci": that one refuses a lock without the packages for other systems, which not every registry has.
  install="npm install --no-save --ignore-scripts --include=dev --include=optional"
  log=$(mktemp)
  if ! $install --no-progress --no-update-notifier --loglevel=error >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    echo "npm could not install the dependencies (log: $log). Run: cd $(pwd) && $install" >&2
    exit 1
  fi
  rm -f "$log"
  touch "$lock"
  fresh=yes
fi
sh tools/with-node.sh tools/generate/generate.ts $([ -n "$fresh" ] || echo --if-stale) >/dev/null
[ "${1:-}" != --npm-only ] || exit 0

missing=
need() { # need COMMAND-OR-PATH PACKAGE
  if ! command -v "$1" >/dev/null 2>&1 && [ ! -e "$1" ] && [ ! -x "/usr/sbin/$1" ] && [ ! -x "/sbin/$1" ]; then missing="$missing $2"; fi
}
need containerd containerd
need runc runc
[ -e /opt/cni/bin/bridge ] || need /usr/lib/cni/bridge containernetworking-plugins
need nft nftables
need ip iproute2
need conntrack conntrack
for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

command="apt-get update && apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" != 0 ]; then
  echo "not root: real containers need the Debian packages$missing. To install them, run: sudo sh -c '$command'" >&2
  [ "$#" = 0 ] || exit 1
  exit 0
fi
if ! command -v apt-get >/dev/null 2>&1; then
  echo "missing:$missing. This is not Debian: install them with this system's package manager, then run this again." >&2
  exit 1
fi
echo "installing Debian packages:$missing"
log=$(mktemp)
if ! (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing) >"$log" 2>&1; then
  tail -n 5 "$log" >&2
  echo "apt-get failed (log: $log). Run: $command" >&2
  exit 1
fi
rm -f "$log"
# Debian starts a system containerd where there is an init to start it; k8ts runs its own and never touches that one.
