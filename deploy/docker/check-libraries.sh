#!/bin/sh
# check-libraries.sh FOLDER: every shared library of the folder finds what it needs, in the versions that it needs, but for the driver's libcuda.so.1.
set -eu
failed=0
for library in "$1"/*.so "$1"/*.so.* "$1"/*.node; do
  [ -e "$library" ] || continue
  name=$(basename "$library")
  if ! found=$(LC_ALL=C LD_LIBRARY_PATH="$1${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ldd "$library" 2>&1); then
    echo "$name cannot be looked into: $found" >&2
    failed=1
    continue
  fi
  for missing in $(echo "$found" | sed -n 's/^[[:space:]]*\([^ ]*\) => not found$/\1/p' | sort -u); do
    [ "$missing" = libcuda.so.1 ] && continue
    echo "$name needs $missing, which this image does not have" >&2
    failed=1
  done
  old=$(echo "$found" | grep ': version .* not found' | grep -v 'libcuda\.so\.1: ' | sort -u || true)
  if [ -n "$old" ]; then
    echo "$old" >&2
    failed=1
  fi
done
exit "$failed"
