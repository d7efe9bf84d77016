#!/bin/sh
# npm start: from a fresh clone to a running cluster.
set -eu
cd "$(dirname "$0")/.."
sh tools/setup.sh
exec ./k8ts up "$@"
