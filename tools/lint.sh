#!/usr/bin/env bash
# Every static check but the types; all run, the first failure decides the exit code.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
failed=0
check() {
  local name=$1
  shift
  if "$@"; then echo "ok    $name"; else echo "FAIL  $name"; failed=1; fi
}
# The longest by far, on a core of its own.
report=$(mktemp)
trap 'rm -f "$report"' EXIT
eslint . --max-warnings 0 >"$report" 2>&1 &
eslint=$!
check prettier prettier --check --log-level warn .
check knip knip --no-progress
check dependency-cruiser depcruise --config .dependency-cruiser.cjs services
check buf buf lint proto
check buf-breaking buf breaking proto --against proto/released.binpb
awaited() { wait "$eslint"; local code=$?; cat "$report"; return "$code"; }
check eslint awaited
exit "$failed"
