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
count() { if [ "$status" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi; }

part setup make --no-print-directory setup
count
part lint make --no-print-directory lint
count
part types make --no-print-directory types
count
part test vitest run --reporter=default --reporter=json --outputFile.json="$reports/vitest.json"
node tools/count-tests.ts vitest "$reports/vitest.json" "$status" >"$reports/counts" && read -r p f <"$reports/counts"
passed=$((passed + p)) failed=$((failed + f))
part exporter-setup make --no-print-directory exporter-setup
count
part exporter-test bash tools/exporter-test.sh --junitxml="$reports/pytest.xml"
node tools/count-tests.ts junit "$reports/pytest.xml" "$status" >"$reports/counts" && read -r p f <"$reports/counts"
passed=$((passed + p)) failed=$((failed + f))
part bench node test/bench/main.ts --short
count

echo "total: $((SECONDS - began)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
