#!/usr/bin/env bash
# install.sh PREFIX: puts the locked packages into a folder of that prefix, whole or not at all, and prints it. Whoever asks meanwhile waits.
set -euo pipefail
target=$1-$(python3 -c 'import sys; print("py%d.%d" % sys.version_info[:2])')
mkdir -p "$(dirname "$target")"
exec 9>"$target.lock"
flock -w 300 9
if [ ! -d "$target" ]; then
  partial=$(mktemp -d "$target.XXXXXX")
  trap 'rm -rf "$partial"' EXIT
  timeout 300 python3 -m pip install --quiet --quiet --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: --no-compile \
    --target "$partial" -r "$(dirname "$0")/requirements.lock" >&2
  chmod 755 "$partial"
  mv "$partial" "$target"
fi
echo "$target"
