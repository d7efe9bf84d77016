#!/bin/sh
# Runs a TypeScript file with the Node this project is built on: the one its npm dependency brings, else the system's if new enough.
# usage: sh tools/with-node.sh FILE [ARG ...]
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
for node in "$here"/node_modules/node-linux-*/bin/node; do
  [ -x "$node" ] && exec "$node" "$@"
done
major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/') || major=0
if [ "${major:-0}" -ge 24 ]; then exec node "$@"; fi
echo "k8ts needs Node 24 or later, and found ${major:-none}. Run 'npm install' in $here: it brings Node 26 along." >&2
exit 1
