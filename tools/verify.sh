#!/usr/bin/env bash
# Everything that CI runs, part by part: seconds for each, and a last line "N passed, N failed".
# A static check counts as one test. Every part runs even when an earlier one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
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
count() { if [ "$status" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }

part setup make --no-print-directory setup
count
# Each uses one core or the network: together they take as long as the longest.
make --no-print-directory exporter-setup >"$reports/exporter-setup" 2>&1 &
exporter=$!
make --no-print-directory types >"$reports/types" 2>&1 &
types=$!
part lint make --no-print-directory lint
count
part types awaited "$types" "$reports/types"
count
part exporter-setup awaited "$exporter" "$reports/exporter-setup"
count
part test vitest run --reporter=default --reporter=json --outputFile.json="$reports/vitest.json"
node tools/count-tests.ts vitest "$reports/vitest.json" "$status" >"$reports/counts" && read -r p f <"$reports/counts"
passed=$((passed + p)) failed=$((failed + f))
part exporter-test bash tools/exporter-test.sh --junitxml="$reports/pytest.xml"
node tools/count-tests.ts junit "$reports/pytest.xml" "$status" >"$reports/counts" && read -r p f <"$reports/counts"
passed=$((passed + p)) failed=$((failed + f))
part bench node test/bench/main.ts --short
count

echo "total: $((SECONDS - began)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
