#!/bin/sh
# check-libraries.sh FOLDER: every shared library of the folder finds what it needs, but for the driver's libcuda.so.1.
set -eu
failed=0
for library in "$1"/*.so "$1"/*.so.* "$1"/*.node; do
  [ -e "$library" ] || continue
  for missing in $(LD_LIBRARY_PATH="$1${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ldd "$library" | sed -n 's/^[[:space:]]*\([^ ]*\) => not found$/\1/p' | sort -u); do
    [ "$missing" = libcuda.so.1 ] && continue
    echo "$(basename "$library") needs $missing, which this image does not have" >&2
    failed=1
  done
done
exit "$failed"
