#!/bin/sh
# npm test: the same set-up as npm start, then the quick check and every test that needs more than one component.
set -eu
cd "$(dirname "$0")/.."
sh tools/setup.sh curl unzip
echo "types" && node_modules/.bin/tsc --noEmit
echo "lint" && node_modules/.bin/oxlint --type-aware --quiet src test bench tools
echo "format" && node_modules/.bin/oxfmt --check src test bench tools >/dev/null || { echo "run 'npm run format'" >&2; exit 1; }
echo "layers" && sh tools/with-node.sh tools/check/check.ts
exec sh tools/with-node.sh --test --test-concurrency=2 --test-timeout=600000 --test-reporter=spec 'src/**/*.test.ts' 'tools/**/*.test.ts' 'test/**/*.test.ts' "$@"
