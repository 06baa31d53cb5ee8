#!/usr/bin/env bash
# Everything that CI runs, part by part: seconds for each, and a last line "N passed, N failed".
# A static check counts as one test. Every part runs even when an earlier one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
: >"$reports/failures"
passed=0
failed=0
began=$SECONDS

# part NAME COMMAND...: runs it, prints its seconds, leaves its exit code in $status.
part() {
  local name=$1 from=$SECONDS
  shift
  echo "== $name"
  "$@"
  status=$?
  echo "== $name: $((SECONDS - from)) s, exit $status"
}
# awaited PID OUTPUT: waits for what runs in the background, shows what it printed, and is its exit code.
awaited() {
  local code=0
  wait "$1" || code=$?
  cat "$2"
  return "$code"
}
# count NAME: the part that ran last, as one test.
count() {
  if [ "$status" -eq 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "failed: $1" >>"$reports/failures"
  fi
}
# count_tests KIND REPORT: the tests of the part that ran last.
count_tests() {
  local p=0 f=1
  node tools/count-tests.ts "$1" "$2" "$status" >"$reports/counts" 2>>"$reports/failures" && read -r p f <"$reports/counts"
  passed=$((passed + p)) failed=$((failed + f))
}

part setup make --no-print-directory setup
count setup
# Each uses one core or the network: together they take as long as the longest.
make --no-print-directory exporter-setup >"$reports/exporter-setup" 2>&1 &
exporter=$!
make --no-print-directory types >"$reports/types" 2>&1 &
types=$!
part lint make --no-print-directory lint
count lint
part types awaited "$types" "$reports/types"
count types
part exporter-setup awaited "$exporter" "$reports/exporter-setup"
count exporter-setup
part test vitest run --reporter=default --reporter=json --outputFile.json="$reports/vitest.json"
count_tests vitest "$reports/vitest.json"
part exporter-test bash tools/exporter-test.sh --junitxml="$reports/pytest.xml"
count_tests junit "$reports/pytest.xml"
part bench node test/bench/main.ts --short
count bench

head -30 "$reports/failures"
echo "total: $((SECONDS - began)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
