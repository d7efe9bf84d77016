#!/bin/sh
# The one check before every commit: generated model, types, lint, formatting, layers, unit tests.
set -eu
cd "$(dirname "$0")/.."
sh tools/setup.sh --npm-only
echo "types" && node_modules/.bin/tsc --noEmit
echo "lint" && node_modules/.bin/oxlint --type-aware --quiet src test bench tools
echo "format" && node_modules/.bin/oxfmt --check src test bench tools >/dev/null || { echo "run 'npm run format'" >&2; exit 1; }
echo "layers" && sh tools/with-node.sh tools/check/check.ts
echo "unit tests" && sh tools/with-node.sh --test --test-reporter=dot 'src/**/*.test.ts' 'tools/**/*.test.ts'
