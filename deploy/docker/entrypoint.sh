#!/bin/sh
# What an image runs: `coordinator`, `worker`, or a command line of vapfarm (`migrate`, `models pull`, …).
set -eu
case "${1-}" in
  coordinator | worker) exec /opt/vapfarm/bin/node "/opt/vapfarm/services/$1/main.ts" ;;
  *) exec /opt/vapfarm/vapfarm "$@" ;;
esac
